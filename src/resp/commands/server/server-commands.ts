import { type RespCommand, type Handler, subcommandsOf } from '../resp-command.ts';
import type { ServerInfo } from './server-info.ts';

const CONFIG_HELP = ['GET <pattern>', '    Return parameters matching the glob-like <pattern> and their values.'];
const MODULE_HELP = ['LIST', '    Return a list of loaded modules.'];
const ACL_HELP = ['WHOAMI', '    Return the current connection username.'];

/** Commands that concern the server: INFO, DBSIZE, ROLE, TIME, CONFIG GET, MODULE LIST and ACL WHOAMI. */
export class ServerCommands {
  readonly #info: ServerInfo;

  constructor(info: ServerInfo) {
    this.#info = info;
  }

  commands(): RespCommand[] {
    const common = { flags: [], categories: [], keys: [0, 0, 0], group: 'server' } as const;
    const container = { ...common, arity: -2, run: () => undefined };
    const flags = ['noscript', 'loading', 'stale'];
    return [
      {
        ...{ ...common, name: 'info', arity: -1, flags: ['loading', 'stale'], categories: ['dangerous'] },
        summary: 'Get information and statistics about the server',
        since: '1.0.0',
        run: (args, _client, out) => out.verbatim(this.#info.render(args.map((arg) => arg.toString('latin1')))),
      },
      {
        ...{
          ...common,
          name: 'dbsize',
          arity: 1,
          flags: ['readonly', 'fast'],
          categories: ['keyspace'],
          since: '1.0.0',
        },
        summary: 'Return the number of entries in the cache',
        run: (_args, _client, out) => out.integer(this.#info.entries),
      },
      {
        ...{ ...common, name: 'role', arity: 1, flags: [...flags, 'fast'], categories: ['admin', 'dangerous'] },
        summary: 'Return the role of the instance in the context of replication',
        since: '2.8.12',
        run: role,
      },
      {
        ...{ ...common, name: 'time', arity: 1, flags: ['loading', 'stale', 'fast'], since: '2.6.0' },
        summary: 'Return the current server time',
        run: time,
      },
      {
        ...{ ...container, name: 'config', since: '2.0.0' },
        summary: 'A container for server configuration commands',
        subcommands: subcommandsOf({
          ...{ name: 'config', flags: ['admin', ...flags], categories: [], help: CONFIG_HELP },
          subcommands: [{ name: 'get', arity: -3, run: this.#configGet() }],
        }),
      },
      {
        ...{ ...container, name: 'module', since: '4.0.0' },
        summary: 'A container for module commands',
        subcommands: subcommandsOf({
          ...{ name: 'module', flags: ['admin', 'noscript'], categories: [], help: MODULE_HELP },
          // Modules of Redis are not known here: their commands tell.
          subcommands: [{ name: 'list', arity: 2, run: (_args, _client, out) => out.array(0) }],
        }),
      },
      {
        ...{ ...container, name: 'acl', since: '6.0.0' },
        summary: 'A container for Access List Control commands',
        subcommands: subcommandsOf({
          ...{ name: 'acl', flags, categories: [], help: ACL_HELP },
          subcommands: [{ name: 'whoami', arity: 2, run: (_args, _client, out) => out.bulk('default') }],
        }),
      },
    ];
  }

  #configGet(): Handler {
    return (patterns, _client, out) => {
      const found = this.#info.configuration(patterns.map((pattern) => pattern.toString('latin1')));
      out.map(found.length);
      for (const [name, value] of found) {
        out.bulk(name);
        out.bulk(value);
      }
    };
  }
}

/** Replies like a master without replicas, as `INFO replication` does. */
const role: Handler = (_args, _client, out) => {
  out.array(3);
  out.bulk('master');
  out.integer(0);
  out.array(0);
};

const time: Handler = (_args, _client, out) => {
  const now = Date.now();
  out.array(2);
  out.bulk(String(Math.floor(now / 1000)));
  out.bulk(String((now % 1000) * 1000));
};
