/** The parts of a Redis URL. */
export interface RedisUrl {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Parses `redis[s]://[user[:password]@]host[:port][/database]`; returns undefined if the text has another form. */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  const url = URL.parse(text);
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === '') return undefined;
  if (url.search !== '' || url.hash !== '' || !/^(?:\/\d{0,6})?$/.test(url.pathname)) return undefined;
  try {
    return {
      tls: url.protocol === 'rediss:',
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? 6379 : Number(url.port),
      database: Number(url.pathname.slice(1)),
      username: decodeURIComponent(url.username) || undefined,
      password: decodeURIComponent(url.password) || undefined,
    };
  } catch {
    return undefined;
  }
}
