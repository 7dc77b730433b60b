import { Buffer } from 'node:buffer';

/** The parts of a Redis URL. */
export interface RedisUrl {
  readonly tls: boolean;
  /** Empty with a socket. */
  readonly host: string;
  /** 0 with a socket. */
  readonly port: number;
  /** The path of a Unix socket, in place of host and port. */
  readonly socket: string | undefined;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Describes, for help and errors, the addresses that {@link parseRedisUrl} accepts. */
export const REDIS_URL_SYNTAX =
  'redis://, rediss://, valkey:// or valkeys:// [user[:password]@]host[:port][/database], or unix://[user[:password]@]/path[?db=database]';

/** Longest path of a socket in bytes; Linux has 108 of them, with the terminating zero. */
const MAX_SOCKET_BYTES = 107;

const SOCKET_URL = /^unix:\/\/(?:([^/@:?#]*)(?::([^/@?#]*))?@)?(\/[^?#]*)(?:\?db=(\d{1,6}))?$/i;

/** Parses an address of the form {@link REDIS_URL_SYNTAX}; returns undefined if the text has another form. */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  try {
    return /^unix:/i.test(text) ? parseSocketUrl(text) : parseHostUrl(text);
  } catch {
    // A percent sign that encodes nothing.
    return undefined;
  }
}

function parseHostUrl(text: string): RedisUrl | undefined {
  const url = URL.parse(text);
  const [, scheme, tls] = /^(redis|valkey)(s?):$/.exec(url?.protocol ?? '') ?? [];
  if (url === null || scheme === undefined || url.hostname === '') return undefined;
  if (url.search !== '' || url.hash !== '' || !/^(?:\/\d{0,6})?$/.test(url.pathname)) return undefined;
  return {
    tls: tls === 's',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6379 : Number(url.port),
    socket: undefined,
    database: Number(url.pathname.slice(1)),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
  };
}

/** The parser of URLs accepts no account without a host. */
function parseSocketUrl(text: string): RedisUrl | undefined {
  const [, username = '', password = '', path = '', database = '0'] = SOCKET_URL.exec(text) ?? [];
  const socket = decodeURIComponent(path);
  if (socket.length < 2 || socket.includes('\0') || Buffer.byteLength(socket) > MAX_SOCKET_BYTES) return undefined;
  return {
    tls: false,
    host: '',
    port: 0,
    socket,
    database: Number(database),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
  };
}
