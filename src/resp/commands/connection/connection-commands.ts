import type { Access } from '../../../access/access.ts';
import type { RefusedCommands } from '../../../redis-commands/refused-commands.ts';
import type { Client } from '../../server/client.ts';
import type { TrackingClients } from '../../server/tracking-clients.ts';
import { INVALID_NAME, SYNTAX_ERROR, isName, parseSmallInteger } from '../arguments.ts';
import type { RespCommand, Handler } from '../resp-command.ts';
import type { ReplyWriter } from '../../protocol/reply-writer.ts';
import type { TransactionCommands } from '../transaction-commands.ts';
import { COMPATIBLE_VERSION } from '../server/server-info.ts';

const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.';
const DEFAULT_USER = 'default';

/** Commands that concern the connection: AUTH, HELLO, SELECT, PING, QUIT and the like. */
export class ConnectionCommands {
  readonly #access: Access;
  readonly #database: number;
  readonly #transactions: TransactionCommands;
  readonly #refused: RefusedCommands;
  readonly #trackingClients: TrackingClients;

  /** @param database number of the Redis database that the proxy reads. */
  constructor(
    access: Access,
    database: number,
    transactions: TransactionCommands,
    refused: RefusedCommands,
    trackingClients: TrackingClients,
  ) {
    this.#access = access;
    this.#database = database;
    this.#transactions = transactions;
    this.#refused = refused;
    this.#trackingClients = trackingClients;
  }

  commands(): RespCommand[] {
    const always = { keys: [0, 0, 0], categories: ['connection'], group: 'connection' } as const;
    const session = { ...always, flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'] };
    const plain = { ...always, flags: ['loading', 'stale', 'fast'] };
    return [
      { ...plain, flags: ['fast'], name: 'ping', arity: -1, summary: 'Ping the server', since: '1.0.0', run: ping },
      { ...plain, name: 'echo', arity: 2, summary: 'Echo the given string', since: '1.0.0', run: echo },
      {
        ...session,
        name: 'auth',
        arity: -2,
        summary: 'Authenticate to the server',
        since: '1.0.0',
        run: (args, client, out) => this.#auth(args, client, out),
      },
      {
        ...session,
        name: 'hello',
        arity: -1,
        summary: 'Handshake with Redis',
        since: '6.0.0',
        run: (args, client, out) => this.#hello(args, client, out),
      },
      {
        ...plain,
        name: 'select',
        arity: 2,
        summary: 'Change the selected database for the current connection',
        since: '1.0.0',
        run: (args, _client, out) => this.#select(args[0], out),
      },
      {
        ...session,
        name: 'reset',
        arity: 1,
        summary: 'Reset the connection',
        since: '6.2.0',
        run: (_args, client, out) => this.#reset(client, out),
      },
      {
        ...{ ...plain, group: 'cluster', name: 'readonly', arity: 1, since: '3.0.0' },
        summary: 'Enables read queries for a connection to a cluster replica node',
        run: accept,
      },
      {
        ...{ ...plain, group: 'cluster', name: 'readwrite', arity: 1, since: '3.0.0' },
        summary: 'Disables read queries for a connection to a cluster replica node',
        run: accept,
      },
      { ...session, name: 'quit', arity: -1, summary: 'Close the connection', since: '1.0.0', run: quit },
    ];
  }

  #auth(args: readonly Buffer[], client: Client, out: ReplyWriter): void {
    if (args.length > 2) return out.error(SYNTAX_ERROR);
    if (args.length === 1 && !this.#access.tokenRequired) {
      return out.error(
        'ERR AUTH <password> called without any password configured for the default user. ' +
          'Are you sure your configuration is correct?',
      );
    }
    const user = args.length === 2 ? args[0].toString('latin1') : DEFAULT_USER;
    if (this.#authenticate(user, args[args.length - 1], client)) out.simple('OK');
    else out.error(WRONG_PASSWORD);
  }

  #authenticate(user: string, password: Buffer, client: Client): boolean {
    if (user !== DEFAULT_USER) return false;
    if (this.#access.tokenRequired) {
      const credential = this.#access.identify(password.toString('latin1'));
      if (credential === undefined) return false;
      client.credential = credential;
    }
    client.authenticated = true;
    return true;
  }

  #hello(args: readonly Buffer[], client: Client, out: ReplyWriter): void {
    let version: number | undefined;
    if (args.length > 0) {
      version = parseSmallInteger(args[0]);
      if (version === undefined) return out.error('ERR Protocol version is not an integer or out of range');
      if (version !== 2 && version !== 3) return out.error('NOPROTO unsupported protocol version');
    }
    let name: Buffer | undefined;
    let credentials: readonly [user: string, password: Buffer] | undefined;
    for (let i = 1; i < args.length; i++) {
      const option = args[i].toString('latin1');
      const remaining = args.length - 1 - i;
      if (option.toLowerCase() === 'auth' && remaining >= 2) {
        credentials = [args[++i].toString('latin1'), args[++i]];
      } else if (option.toLowerCase() === 'setname' && remaining >= 1) {
        name = args[++i];
        if (!isName(name)) return out.error(INVALID_NAME);
      } else {
        return out.error(`ERR Syntax error in HELLO option '${option.slice(0, 128)}'`);
      }
    }
    if (credentials !== undefined && !this.#authenticate(...credentials, client)) return out.error(WRONG_PASSWORD);
    if (!client.authenticated) {
      return out.error(
        'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> ' +
          '<pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
      );
    }
    if (name !== undefined) client.name = name.toString('latin1');
    if (version === 2 || version === 3) client.protocol = version;
    out.protocol = client.protocol;
    writeServerProperties(client, out);
  }

  #select(number: Buffer, out: ReplyWriter): void {
    const database = parseSmallInteger(number);
    if (database === undefined) return out.error('ERR value is not an integer or out of range');
    if (database === this.#database) return out.simple('OK');
    this.#refused.count('resp', 'select');
    out.error(`ERR DB index is out of range: this proxy serves database ${this.#database} only`);
  }

  #reset(client: Client, out: ReplyWriter): void {
    this.#transactions.forget(client);
    this.#trackingClients.stop(client);
    client.protocol = 2;
    client.name = '';
    client.authenticated = !this.#access.tokenRequired;
    client.credential = undefined;
    out.simple('RESET');
  }
}

const ping: Handler = (args, _client, out) => {
  if (args.length > 1) out.error("ERR wrong number of arguments for 'ping' command");
  else if (args.length === 1) out.bulk(copyOf(args[0]));
  else out.simple('PONG');
};

const echo: Handler = ([text], _client, out) => out.bulk(copyOf(text));

/** Copies an argument for a reply that may be queued: the next read overwrites the receive buffer. */
function copyOf(argument: Buffer): Buffer {
  return Buffer.from(argument);
}

/** Replies OK to commands that have no effect here. */
const accept: Handler = (_args, _client, out) => out.simple('OK');

const quit: Handler = (_args, client, out) => {
  client.quitting = true;
  out.simple('OK');
};

function writeServerProperties(client: Client, out: ReplyWriter): void {
  out.map(7);
  out.bulk('server');
  out.bulk('redis');
  out.bulk('version');
  out.bulk(COMPATIBLE_VERSION);
  out.bulk('proto');
  out.integer(client.protocol);
  out.bulk('id');
  out.integer(client.id);
  out.bulk('mode');
  out.bulk('standalone');
  out.bulk('role');
  out.bulk('master');
  out.bulk('modules');
  out.array(0);
}
