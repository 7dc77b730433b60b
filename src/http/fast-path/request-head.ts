import { isHost } from '../server/request-rules.ts';
import { type Conditions, UNCONDITIONAL } from '../response/conditional.ts';
import { KEYS_PATH } from '../request/key-path.ts';
import { RESOURCES, type Resource } from '../resources/resource.ts';

/** Longest request line and headers, in bytes, that the fast path parses. */
export const MAX_HEAD_BYTES = 8 * 1024;
/** Most headers that the fast path parses; a request with more goes to node:http, which has a limit of its own. */
const MAX_HEADERS = 64;

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const BRACKET = 0x5b;
const PERCENT = 0x25;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const CR = 0x0d;
const LF = 0x0a;
/** Bit that makes an ASCII letter lower case. */
const LOWER = 0x20;

const GET = ascii(`GET ${KEYS_PATH}`);
const HEAD = ascii(`HEAD ${KEYS_PATH}`);
/** The start of the request for any other resource, and the paths of these after that. */
const GET_RESOURCE = ascii('GET /v1/');
const HEAD_RESOURCE = ascii('HEAD /v1/');
const RESOURCE_PATHS = Object.values<Resource>(RESOURCES).map((resource) => ({
  resource,
  path: ascii(resource.path.slice('/v1/'.length)),
  hasParts: resource.readPart !== undefined,
}));
const VERSION = ascii(' HTTP/1.1\r\n');
const KEEP_ALIVE = ascii('keep-alive');

/** Bytes of a path (RFC 3986, section 3.3), and `%`, which is decoded later. */
const IS_KEY = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%");
/** Bytes of a key or part without a slash. */
const IS_SEGMENT = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%");
/** Bytes of a query (RFC 3986, section 3.4), and `%`. */
const IS_QUERY = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?%");
/** Bytes of a header name (RFC 9110, section 5.6.2). */
const IS_NAME = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~");
/** Bytes of a header value (RFC 9110, section 5.5), without those above 127, which recipients interpret differently. */
const IS_VALUE = bytesOf(`\t${String.fromCharCode(...Array.from({ length: 95 }, (_, i) => SPACE + i))}`);
/** Bytes of a host name that are always valid. */
const IS_HOST = bytesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._');
const IS_DIGIT = bytesOf('0123456789');

/**
 * Headers that the fast path does not implement: they concern a body, another protocol or the connection.
 */
const NOT_SUPPORTED = [
  ...['te', 'expect', 'trailer', 'upgrade', 'keep-alive', 'content-length', 'http2-settings', 'proxy-connection'],
  'transfer-encoding',
];
const HOST = ascii('host');
const CONNECTION = ascii('connection');
const IF_NONE_MATCH = ascii('if-none-match');
/** These two have the same length as If-None-Match. */
const AUTHORIZATION = ascii('authorization');
const CACHE_CONTROL = ascii('cache-control');
const PRAGMA = ascii('pragma');
const RANGE = ascii('range');
const IF_RANGE = ascii('if-range');
const ACCEPT_ENCODING = ascii('accept-encoding');

/**
 * Parser of request heads in the strict subset of HTTP/1.1 that the fast path serves: `GET` or `HEAD` of a key or of another
 * resource that represents a key, an exact request line, one Host, names and values of ASCII characters, CRLF, nothing about a body or the connection. Any other
 * request is left to node:http. One instance is reused for all requests; positions refer to the bytes passed to
 * {@link scan}.
 */
export class RequestHead {
  /** Whether the method is HEAD. */
  headOnly = false;
  /** Start and end of the percent-encoded key. */
  keyFrom = 0;
  keyTo = 0;
  /** Whether the key contains a `%`. */
  encoded = false;
  /** Undefined: the request is for the value of a key. */
  resource: Resource | undefined;
  /** Start and end of the percent-encoded name of a part of a resource, which may be empty; 0 if absent. */
  partFrom = 0;
  partTo = 0;
  /** Start and end of the query of a resource, without the question mark; 0 if absent. */
  queryFrom = 0;
  queryTo = 0;
  /** Start and end of these headers' values; 0 if absent. */
  ifNoneMatchFrom = 0;
  ifNoneMatchTo = 0;
  authorizationFrom = 0;
  authorizationTo = 0;
  cacheControlFrom = 0;
  cacheControlTo = 0;
  pragmaFrom = 0;
  pragmaTo = 0;
  rangeFrom = 0;
  rangeTo = 0;
  ifRangeFrom = 0;
  ifRangeTo = 0;
  acceptEncodingFrom = 0;
  acceptEncodingTo = 0;
  /** End of the request. */
  end = 0;
  #hosts = 0;
  /** The IPv6 host validated last. */
  #validAddress = new Uint8Array(0);
  readonly #maxBytes: number;
  /** Names of headers that need node:http, indexed by length. */
  readonly #notSupported: readonly (readonly Uint8Array[])[];
  readonly #readsAcceptEncoding: boolean;

  /**
   * @param maxBytes longest head to parse.
   * @param notSupported lower-case names of further headers that need node:http.
   * @param readsAcceptEncoding whether the position of Accept-Encoding is recorded.
   */
  constructor(maxBytes: number, notSupported: readonly string[] = [], readsAcceptEncoding = false) {
    this.#readsAcceptEncoding = readsAcceptEncoding;
    this.#maxBytes = maxBytes;
    this.#notSupported = byLength(...NOT_SUPPORTED, ...notSupported);
  }

  /** Whether a header may call for another response than the cached value. */
  get isConditional(): boolean {
    return this.ifNoneMatchFrom !== 0 || this.cacheControlFrom !== 0 || this.pragmaFrom !== 0 || this.rangeFrom !== 0;
  }

  /** Returns the conditions of the request, which starts in these bytes. */
  conditions(bytes: Buffer): Conditions {
    if (!this.isConditional) return UNCONDITIONAL;
    return {
      ifNoneMatch: textOf(bytes, this.ifNoneMatchFrom, this.ifNoneMatchTo),
      range: this.headOnly ? undefined : textOf(bytes, this.rangeFrom, this.rangeTo),
      ifRange: textOf(bytes, this.ifRangeFrom, this.ifRangeTo),
    };
  }

  /** Returns the value of a header of the request, which starts in these bytes; undefined if absent. */
  authorization(bytes: Buffer): string | undefined {
    return textOf(bytes, this.authorizationFrom, this.authorizationTo);
  }

  cacheControl(bytes: Buffer): string | undefined {
    return textOf(bytes, this.cacheControlFrom, this.cacheControlTo);
  }

  pragma(bytes: Buffer): string | undefined {
    return textOf(bytes, this.pragmaFrom, this.pragmaTo);
  }

  /** Parses the request that starts at `from`; returns false if it needs node:http or is incomplete. */
  scan(bytes: Uint8Array, from: number): boolean {
    const limit = Math.min(bytes.length, from + this.#maxBytes);
    const key = this.#scanMethod(bytes, from);
    if (key === 0) return this.#scanResource(bytes, from, limit);
    let at = key;
    let encoded = false;
    while (at < limit && IS_KEY[bytes[at]] === 1) if (bytes[at++] === PERCENT) encoded = true;
    if (at === key || !startsWith(bytes, at, VERSION, limit)) return false;
    this.resource = undefined;
    this.keyFrom = key;
    this.keyTo = at;
    this.encoded = encoded;
    return this.#scanHeaders(bytes, at + VERSION.length, limit);
  }

  /** Parses a request for another resource than the value of a key. */
  #scanResource(bytes: Uint8Array, from: number, limit: number): boolean {
    const start = this.headOnly ? HEAD_RESOURCE : GET_RESOURCE;
    if (!startsWith(bytes, from, start, limit)) return false;
    const path = pathAt(bytes, from + start.length, limit);
    if (path === undefined) return false;
    const isKey = path.hasParts ? IS_SEGMENT : IS_KEY;
    this.keyFrom = from + start.length + path.path.length;
    let at = this.keyFrom;
    while (at < limit && isKey[bytes[at]] === 1) at++;
    this.keyTo = at;
    if (at === this.keyFrom) return false;
    this.resource = path.resource;
    this.partFrom = this.partTo = this.queryFrom = this.queryTo = 0;
    if (path.hasParts && bytes[at] === SLASH) {
      this.partFrom = ++at;
      while (at < limit && IS_KEY[bytes[at]] === 1) at++;
      this.partTo = at;
    } else if (bytes[at] === QUESTION) {
      this.queryFrom = ++at;
      while (at < limit && IS_QUERY[bytes[at]] === 1) at++;
      this.queryTo = at;
    }
    return startsWith(bytes, at, VERSION, limit) && this.#scanHeaders(bytes, at + VERSION.length, limit);
  }

  /** Returns the start of the key; 0 for another method or path. */
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
    this.rangeFrom = this.rangeTo = 0;
    this.ifRangeFrom = this.ifRangeTo = 0;
    this.acceptEncodingFrom = this.acceptEncodingTo = 0;
    let at = from;
    for (let headers = 0; headers <= MAX_HEADERS; headers++) {
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
      if (!this.#onHeader(bytes, name, nameEnd, value, valueEnd)) return false;
    }
    return false;
  }

  /** Records the position of a known header; returns false if the header needs node:http. */
  #onHeader(bytes: Uint8Array, name: number, nameEnd: number, from: number, to: number): boolean {
    switch (nameEnd - name) {
      case HOST.length:
        return !isName(bytes, name, HOST) || this.#onHost(bytes, from, to);
      case CONNECTION.length:
        if (isName(bytes, name, CONNECTION)) return to - from === KEEP_ALIVE.length && isName(bytes, from, KEEP_ALIVE);
        return !this.#needsNodeHttp(bytes, name, nameEnd);
      case IF_NONE_MATCH.length:
        if (isName(bytes, name, IF_NONE_MATCH)) {
          // node:http joins several of them to one list.
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
        return !this.#needsNodeHttp(bytes, name, nameEnd);
      case RANGE.length:
        if (isName(bytes, name, RANGE)) {
          if (this.rangeFrom !== 0) return false;
          this.rangeFrom = from;
          this.rangeTo = to;
        }
        return !this.#needsNodeHttp(bytes, name, nameEnd);
      case IF_RANGE.length:
        if (isName(bytes, name, IF_RANGE)) {
          if (this.ifRangeFrom !== 0) return false;
          this.ifRangeFrom = from;
          this.ifRangeTo = to;
        }
        return !this.#needsNodeHttp(bytes, name, nameEnd);
      case ACCEPT_ENCODING.length:
        if (this.#readsAcceptEncoding && isName(bytes, name, ACCEPT_ENCODING)) {
          if (this.acceptEncodingFrom !== 0) return false;
          this.acceptEncodingFrom = from;
          this.acceptEncodingTo = to;
        }
        return !this.#needsNodeHttp(bytes, name, nameEnd);
      default:
        return !this.#needsNodeHttp(bytes, name, nameEnd);
    }
  }

  #needsNodeHttp(bytes: Uint8Array, name: number, nameEnd: number): boolean {
    const names = this.#notSupported[nameEnd - name];
    if (names === undefined) return false;
    for (const each of names) if (isName(bytes, name, each)) return true;
    return false;
  }

  #onHost(bytes: Uint8Array, from: number, to: number): boolean {
    if (++this.#hosts > 1) return false;
    let at = from;
    while (at < to && IS_HOST[bytes[at]] === 1) at++;
    if (at === from) return this.#isAddress(bytes, from, to);
    if (at === to) return true;
    if (bytes[at++] !== COLON) return false;
    while (at < to && IS_DIGIT[bytes[at]] === 1) at++;
    return at === to;
  }

  /** Whether the host is an IPv6 address in brackets. The last valid one is remembered: clients send the same again. */
  #isAddress(bytes: Uint8Array, from: number, to: number): boolean {
    if (bytes[from] !== BRACKET) return false;
    const valid = this.#validAddress;
    if (to - from === valid.length && startsWith(bytes, from, valid, to)) return true;
    if (!isHost(String.fromCharCode(...bytes.subarray(from, to)))) return false;
    this.#validAddress = bytes.slice(from, to);
    return true;
  }
}

/** Returns the path of a resource that starts at `from`. */
function pathAt(bytes: Uint8Array, from: number, limit: number): (typeof RESOURCE_PATHS)[number] | undefined {
  for (const each of RESOURCE_PATHS) if (startsWith(bytes, from, each.path, limit)) return each;
  return undefined;
}

/** Returns the value of a header; undefined if it is absent, which `from` = 0 stands for. */
function textOf(bytes: Buffer, from: number, to: number): string | undefined {
  return from === 0 ? undefined : bytes.toString('latin1', from, to);
}

/** Compares with a lower-case name, ignoring case. */
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

/** Returns a table of 256 flags: 1 for each of these bytes. */
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
