import { type Command, type Handler, type Subcommand, container } from './command.ts';
import type { ReplyWriter } from './reply-writer.ts';
import type { ServerInfo } from './server-info.ts';

/** The commands that are about the server. */
export class ServerCommands {
  readonly #info: ServerInfo;
  /** All commands, by their names. */
  readonly #table: ReadonlyMap<string, Command>;

  constructor(info: ServerInfo, table: ReadonlyMap<string, Command>) {
    this.#info = info;
    this.#table = table;
  }

  commands(): Command[] {
    const common = { keys: [0, 0, 0], group: 'server' } as const;
    return [
      {
        ...common,
        flags: ['loading', 'stale'],
        name: 'command',
        arity: -1,
        summary: 'Get array of Redis command details',
        since: '2.8.13',
        run: this.#command(),
      },
      {
        ...common,
        flags: ['loading', 'stale'],
        name: 'info',
        arity: -1,
        summary: 'Get information and statistics about the server',
        since: '1.0.0',
        run: (args, _client, out) => out.verbatim(this.#info.render(args.map((arg) => arg.toString('latin1')))),
      },
      {
        ...common,
        flags: [],
        name: 'config',
        arity: -2,
        summary: 'A container for server configuration commands',
        since: '2.0.0',
        run: container('config', new Map([['get', { arity: -3, run: this.#configGet() }]])),
      },
    ];
  }

  #command(): Handler {
    const subcommands = container(
      'command',
      new Map<string, Subcommand>([
        ['count', { arity: 2, run: (_args, _client, out) => out.integer(this.#table.size) }],
        ['list', { arity: -2, run: (_args, _client, out) => this.#list(out) }],
        ['info', { arity: -2, run: (args, _client, out) => this.#describe(this.#named(args), out) }],
        ['docs', { arity: -2, run: (args, _client, out) => this.#document(this.#named(args), out) }],
      ]),
    );
    return (args, client, out) =>
      args.length === 0 ? this.#describe([...this.#table.values()], out) : subcommands(args, client, out);
  }

  #named(names: readonly Buffer[]): (Command | undefined)[] {
    if (names.length === 0) return [...this.#table.values()];
    return names.map((name) => this.#table.get(name.toString('latin1').toLowerCase()));
  }

  #list(out: ReplyWriter): void {
    out.array(this.#table.size);
    for (const name of this.#table.keys()) out.bulk(name);
  }

  /** As `COMMAND INFO` of Redis 7: ACL categories, tips, key specifications and subcommands are left empty. */
  #describe(commands: readonly (Command | undefined)[], out: ReplyWriter): void {
    out.array(commands.length);
    for (const command of commands) {
      if (command === undefined) {
        out.null();
        continue;
      }
      out.array(10);
      out.bulk(command.name);
      out.integer(command.arity);
      out.set(command.flags.length);
      for (const flag of command.flags) out.simple(flag);
      for (const position of command.keys) out.integer(position);
      out.set(0);
      out.array(0);
      out.array(0);
      out.array(0);
    }
  }

  #document(commands: readonly (Command | undefined)[], out: ReplyWriter): void {
    const found = commands.filter((command) => command !== undefined);
    out.map(found.length);
    for (const { name, summary, since, group } of found) {
      out.bulk(name);
      out.map(3);
      for (const [field, text] of Object.entries({ summary, since, group })) {
        out.bulk(field);
        out.bulk(text);
      }
    }
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
