import type { Client } from '../../server/client.ts';
import { type RespCommand, type Handler, subcommandsOf } from '../resp-command.ts';
import type { TrackingCommands } from './tracking-commands.ts';
import { INVALID_NAME, SYNTAX_ERROR, isName, parseSmallInteger } from '../arguments.ts';

const TYPES: ReadonlySet<string> = new Set(['normal', 'master', 'replica', 'slave', 'pubsub']);
const HELP = [
  'CACHING (YES|NO)',
  '    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.',
  'GETREDIR',
  '    Return the client ID we are redirecting to when tracking is enabled.',
  'GETNAME',
  '    Return the name of the current connection.',
  'ID',
  '    Return the ID of the current connection.',
  'INFO',
  '    Return information about the current client connection.',
  'LIST [options ...]',
  '    Return information about client connections. Options:',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Return clients of specified type.',
  'SETNAME <name>',
  '    Assign the name <name> to the current connection.',
  'TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]',
  '         [OPTIN] [OPTOUT] [NOLOOP]',
  '    Control server assisted client side caching.',
  'TRACKINGINFO',
  '    Report tracking status for the current connection.',
  'NO-EVICT (ON|OFF)',
  '    Protect current client connection from eviction.',
  'NO-TOUCH (ON|OFF)',
  '    Will not touch LRU/LFU stats when this mode is on.',
  'SETINFO <option> <value>',
  '    Set client meta attr. Options are:',
  '    * LIB-NAME: the client lib name.',
  '    * LIB-VER: the client lib version.',
];

/** `CLIENT` and its subcommands, limited to the connection that sends them. */
export class ClientCommands {
  readonly #database: number;
  readonly #tracking: TrackingCommands;

  /** @param database number of the Redis database that the proxy reads. */
  constructor(database: number, tracking: TrackingCommands) {
    this.#database = database;
    this.#tracking = tracking;
  }

  commands(): RespCommand[] {
    const flags = ['noscript', 'loading', 'stale'];
    const adminFlags = ['admin', ...flags];
    const onOff: Handler = ([state], _client, out) =>
      /^(?:on|off)$/i.test(state.toString('latin1')) ? out.simple('OK') : out.error(SYNTAX_ERROR);
    return [
      {
        ...{ name: 'client', arity: -2, flags: [], categories: [], keys: [0, 0, 0] },
        ...{ group: 'connection', since: '2.4.0', summary: 'A container for client connection commands' },
        run: () => undefined,
        subcommands: subcommandsOf({
          ...{ name: 'client', flags, categories: ['connection'], help: HELP },
          subcommands: [
            { name: 'id', arity: 2, run: (_args, client, out) => out.integer(client.id) },
            { name: 'getname', arity: 2, run: (_args, { name }, out) => (name === '' ? out.null() : out.bulk(name)) },
            { name: 'setname', arity: 3, run: setName },
            { name: 'setinfo', arity: 4, run: setInfo },
            {
              name: 'info',
              arity: 2,
              run: (_args, client, out) => out.verbatim(`${this.#describe(client, 'info')}\n`),
            },
            { name: 'list', arity: -2, flags: adminFlags, run: this.#list() },
            ...this.#tracking.subcommands(),
            // No effect here: clients are never evicted, and every read counts as a use of the entry.
            { name: 'no-evict', arity: 3, flags: adminFlags, run: onOff },
            { name: 'no-touch', arity: 3, run: onOff },
          ],
        }),
      },
    ];
  }

  /** Lists the calling client only: permission to read keys does not include the addresses of other clients. */
  #list(): Handler {
    return (args, client, out) => {
      const [option, ...values] = args.map((arg) => arg.toString('latin1'));
      const line = (listed: boolean): void => out.verbatim(listed ? `${this.#describe(client, 'list')}\n` : '');
      if (args.length === 0) return line(true);
      if (option.toLowerCase() === 'type' && values.length === 1) {
        const type = values[0].toLowerCase();
        if (!TYPES.has(type)) return out.error(`ERR Unknown client type '${values[0].slice(0, 128)}'`);
        return line(type === 'normal');
      }
      if (option.toLowerCase() !== 'id' || values.length === 0) return out.error(SYNTAX_ERROR);
      const ids = args.slice(1).map(parseSmallInteger);
      if (ids.some((id) => id === undefined || id < 1)) return out.error('ERR Invalid client ID');
      return line(ids.includes(client.id));
    };
  }

  /**
   * Formats a client as Redis does. Buffer sizes are 0: the connections of a thread share their buffers, and pending
   * requests are not counted.
   */
  #describe(client: Client, subcommand: 'info' | 'list'): string {
    const { transaction, tracking } = client;
    return Object.entries({
      id: client.id,
      addr: client.address,
      laddr: client.localAddress,
      fd: -1,
      name: client.name,
      age: Math.floor((Date.now() - client.connectedAt) / 1000),
      idle: 0,
      flags: flagsOf(client),
      db: this.#database,
      ...{ sub: 0, psub: 0, ssub: 0, multi: transaction?.length ?? -1, watch: 0 },
      ...{ qbuf: 0, 'qbuf-free': 0, 'argv-mem': 0, 'multi-mem': transaction?.bytes ?? 0 },
      ...{ rbs: 0, rbp: 0, obl: 0, oll: 0, omem: 0, 'tot-mem': transaction?.bytes ?? 0 },
      events: 'r',
      cmd: `client|${subcommand}`,
      user: 'default',
      redir: tracking === undefined ? -1 : 0,
      resp: client.protocol,
      'lib-name': client.libraryName,
      'lib-ver': client.libraryVersion,
    })
      .map(([field, value]) => `${field}=${value}`)
      .join(' ');
  }
}

/** Returns the flags of a client, in the order of Redis. */
function flagsOf({ transaction, tracking }: Client): string {
  const flags = [transaction && 'x', tracking && 't', tracking?.options.broadcast && 'B'];
  return flags.filter(Boolean).join('') || 'N';
}

const setName: Handler = ([name], client, out) => {
  if (!isName(name)) return out.error(INVALID_NAME);
  client.name = name.toString('latin1');
  out.simple('OK');
};

const setInfo: Handler = ([option, value], client, out) => {
  const name = option.toString('latin1').toLowerCase();
  if (name !== 'lib-name' && name !== 'lib-ver') {
    return out.error(`ERR Unrecognized option '${option.toString('latin1').slice(0, 128)}'`);
  }
  if (!isName(value)) return out.error(`ERR ${name} cannot contain spaces, newlines or special characters.`);
  if (name === 'lib-name') client.libraryName = value.toString('latin1');
  else client.libraryVersion = value.toString('latin1');
  out.simple('OK');
};
