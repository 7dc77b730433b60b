import { isHost } from '../server/host.ts';
import { KEYS_PATH } from '../keys/key-path.ts';

/** Request line and headers of a plain request are not longer. */
export const LONGEST_HEAD_BYTES = 8 * 1024;
/** Headers of a request that are looked at here; node:http, too, knows a limit. */
const MOST_HEADERS = 64;

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const BRACKET = 0x5b;
const PERCENT = 0x25;
const CR = 0x0d;
const LF = 0x0a;
/** Makes a letter a small one. */
const LOWER = 0x20;

const GET = ascii(`GET ${KEYS_PATH}`);
const HEAD = ascii(`HEAD ${KEYS_PATH}`);
const VERSION = ascii(' HTTP/1.1\r\n');
const KEEP_ALIVE = ascii('keep-alive');

/** Bytes that may stand in a key as they are: RFC 3986, section 3.3, but for `%`, which is looked at. */
const IS_KEY = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%");
/** Bytes of a header's name: RFC 9110, section 5.6.2. */
const IS_NAME = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~");
/** Bytes of a header's value: RFC 9110, section 5.5, less those above 127, which mean something else to everybody. */
const IS_VALUE = bytesOf(`\t${String.fromCharCode(...Array.from({ length: 95 }, (_, i) => SPACE + i))}`);
/** Bytes of a host's name that need no second look. */
const IS_HOST = bytesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._');
const IS_DIGIT = bytesOf('0123456789');

/**
 * Headers that say more than the fast path understands: of a body, of another protocol, of how the connection is to go on.
 */
const ELSEWHERE = [
  ...['te', 'expect', 'trailer', 'upgrade', 'keep-alive', 'content-length', 'http2-settings', 'proxy-connection'],
  'transfer-encoding',
];
const HOST = ascii('host');
const CONNECTION = ascii('connection');
const IF_NONE_MATCH = ascii('if-none-match');
/** These have the length of the one above. */
const AUTHORIZATION = ascii('authorization');
const CACHE_CONTROL = ascii('cache-control');
const PRAGMA = ascii('pragma');

/**
 * The head of a request, `GET` or `HEAD` of a key, as the strict subset of HTTP/1.1 has it that is answered without
 * node:http: an exact request line, one Host, names and values of plain characters, CRLF, nothing about a body or the
 * connection. Whatever is not sure to be just that is left to node:http. Made once, and used for one request after the
 * other. Positions are those in the bytes that were given to {@link scan}.
 */
export class RequestHead {
  /** Whether the method is HEAD. */
  headOnly = false;
  /** Where the key, percent-encoded, starts and ends. */
  keyFrom = 0;
  keyTo = 0;
  /** Whether there is a `%` in the key. */
  encoded = false;
  /** Where the values of these headers start and end; 0 when there is no such header. */
  ifNoneMatchFrom = 0;
  ifNoneMatchTo = 0;
  authorizationFrom = 0;
  authorizationTo = 0;
  cacheControlFrom = 0;
  cacheControlTo = 0;
  pragmaFrom = 0;
  pragmaTo = 0;
  /** Where the request ends. */
  end = 0;
  #hosts = 0;
  /** The last host with an IPv6 address that was found to be valid. */
  #address = new Uint8Array(0);
  readonly #longest: number;
  /** Names of headers that are for node:http, by their length, as most names are of another one. */
  readonly #elsewhere: readonly (readonly Uint8Array[])[];

  /**
   * @param longest bytes of the longest head that may be read.
   * @param elsewhere names, in small letters, of further headers that are for node:http.
   */
  constructor(longest: number, elsewhere: readonly string[] = []) {
    this.#longest = longest;
    this.#elsewhere = byLength(...ELSEWHERE, ...elsewhere);
  }

  /** Whether there is a header that asks for more than the value that is held. */
  get isConditional(): boolean {
    return this.ifNoneMatchFrom !== 0 || this.cacheControlFrom !== 0 || this.pragmaFrom !== 0;
  }

  /** Reads the request that starts at `from`; false when it is not for the fast path or has not arrived whole. */
  scan(bytes: Uint8Array, from: number): boolean {
    const limit = Math.min(bytes.length, from + this.#longest);
    const key = this.#scanMethod(bytes, from);
    if (key === 0) return false;
    let at = key;
    let encoded = false;
    while (at < limit && IS_KEY[bytes[at]] === 1) if (bytes[at++] === PERCENT) encoded = true;
    if (at === key || !startsWith(bytes, at, VERSION, limit)) return false;
    this.keyFrom = key;
    this.keyTo = at;
    this.encoded = encoded;
    return this.#scanHeaders(bytes, at + VERSION.length, limit);
  }

  /** Where the key starts; 0 when this is another method or path. */
  #scanMethod(bytes: Uint8Array, from: number): number {
    this.headOnly = bytes[from] === HEAD[0];
    const start = this.headOnly ? HEAD : GET;
    return startsWith(bytes, from, start, bytes.length) ? from + start.length : 0;
  }

  #scanHeaders(bytes: Uint8Array, from: number, limit: number): boolean {
    this.#hosts = 0;
    this.ifNoneMatchFrom = this.ifNoneMatchTo = 0;
    this.authorizationFrom = this.authorizationTo = 0;
    this.cacheControlFrom = this.cacheControlTo = 0;
    this.pragmaFrom = this.pragmaTo = 0;
    let at = from;
    for (let headers = 0; headers <= MOST_HEADERS; headers++) {
      if (at + 2 > limit) return false;
      if (bytes[at] === CR) {
        this.end = at + 2;
        return bytes[at + 1] === LF && this.#hosts === 1;
      }
      const name = at;
      while (at < limit && IS_NAME[bytes[at]] === 1) at++;
      if (at === name || at >= limit || bytes[at] !== COLON) return false;
      const nameEnd = at++;
      while (at < limit && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
      const value = at;
      while (at < limit && IS_VALUE[bytes[at]] === 1) at++;
      if (at + 2 > limit || bytes[at] !== CR || bytes[at + 1] !== LF) return false;
      let valueEnd = at;
      while (valueEnd > value && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
      at += 2;
      if (!this.#takeHeader(bytes, name, nameEnd, value, valueEnd)) return false;
    }
    return false;
  }

  /** Notes a header that matters; false when the request is not for the fast path because of it. */
  #takeHeader(bytes: Uint8Array, name: number, nameEnd: number, from: number, to: number): boolean {
    switch (nameEnd - name) {
      case HOST.length:
        return !isName(bytes, name, HOST) || this.#takeHost(bytes, from, to);
      case CONNECTION.length:
        if (isName(bytes, name, CONNECTION)) return to - from === KEEP_ALIVE.length && isName(bytes, from, KEEP_ALIVE);
        return !this.#isElsewhere(bytes, name, nameEnd);
      case IF_NONE_MATCH.length:
        if (isName(bytes, name, IF_NONE_MATCH)) {
          // Several of them are one list, which node:http makes of them.
          if (this.ifNoneMatchFrom !== 0) return false;
          this.ifNoneMatchFrom = from;
          this.ifNoneMatchTo = to;
        } else if (isName(bytes, name, AUTHORIZATION)) {
          if (this.authorizationFrom !== 0) return false;
          this.authorizationFrom = from;
          this.authorizationTo = to;
        } else if (isName(bytes, name, CACHE_CONTROL)) {
          if (this.cacheControlFrom !== 0) return false;
          this.cacheControlFrom = from;
          this.cacheControlTo = to;
        }
        return true;
      case PRAGMA.length:
        if (isName(bytes, name, PRAGMA)) {
          if (this.pragmaFrom !== 0) return false;
          this.pragmaFrom = from;
          this.pragmaTo = to;
        }
        return !this.#isElsewhere(bytes, name, nameEnd);
      default:
        return !this.#isElsewhere(bytes, name, nameEnd);
    }
  }

  #isElsewhere(bytes: Uint8Array, name: number, nameEnd: number): boolean {
    const names = this.#elsewhere[nameEnd - name];
    if (names === undefined) return false;
    for (const each of names) if (isName(bytes, name, each)) return true;
    return false;
  }

  #takeHost(bytes: Uint8Array, from: number, to: number): boolean {
    if (++this.#hosts > 1) return false;
    let at = from;
    while (at < to && IS_HOST[bytes[at]] === 1) at++;
    if (at === from) return this.#takeAddress(bytes, from, to);
    if (at === to) return true;
    if (bytes[at++] !== COLON) return false;
    while (at < to && IS_DIGIT[bytes[at]] === 1) at++;
    return at === to;
  }

  /** Whether the host is an IPv6 address in brackets: looked into once, as clients of one address send the same again. */
  #takeAddress(bytes: Uint8Array, from: number, to: number): boolean {
    if (bytes[from] !== BRACKET) return false;
    const known = this.#address;
    if (to - from === known.length && startsWith(bytes, from, known, to)) return true;
    if (!isHost(String.fromCharCode(...bytes.subarray(from, to)))) return false;
    this.#address = bytes.slice(from, to);
    return true;
  }
}

/** Whether these are the bytes of a text in small letters, whatever the case of theirs. */
function isName(bytes: Uint8Array, from: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if ((bytes[from + i] | LOWER) !== name[i]) return false;
  return true;
}

function startsWith(bytes: Uint8Array, from: number, start: Uint8Array, limit: number): boolean {
  if (from + start.length > limit) return false;
  for (let i = 0; i < start.length; i++) if (bytes[from + i] !== start[i]) return false;
  return true;
}

function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** A table that has a 1 at each of these bytes. */
function bytesOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of ascii(characters)) table[byte] = 1;
  return table;
}

function byLength(...names: readonly string[]): Uint8Array[][] {
  const table: Uint8Array[][] = [];
  for (const name of names) (table[name.length] ??= []).push(ascii(name));
  return table;
}
