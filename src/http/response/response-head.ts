import { STATUS_CODES } from 'node:http';
import { type HttpResponse, COMMON_HEADERS } from './http-response.ts';

/** Whether and for how long a connection persists after a response. */
export interface Persistence {
  /** Whether the connection closes after the response. */
  readonly close: boolean;
  /** Keep-alive time-out to announce, in milliseconds; 0: not announced. */
  readonly keepAliveTimeoutMs: number;
}

/**
 * Renders status line and headers of a response, including the empty line, as node:http does.
 *
 * @param more names and values appended to the response's own.
 */
export function responseHead(
  { status, headers }: HttpResponse,
  date: string,
  { close, keepAliveTimeoutMs }: Persistence,
  more: readonly string[] = [],
): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const fields of [headers, more, COMMON_HEADERS]) {
    for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  }
  head += `Date: ${date}\r\n`;
  if (close) return `${head}Connection: close\r\n\r\n`;
  head += 'Connection: keep-alive\r\n';
  if (keepAliveTimeoutMs > 0) head += `Keep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}\r\n`;
  return `${head}\r\n`;
}

/** The current date in HTTP's format (RFC 9110, section 5.6.7), formatted once per second. */
export class HttpDate {
  #text: string | undefined;
  readonly #forget = (): void => {
    this.#text = undefined;
  };

  /** The same string object within a second. */
  get now(): string {
    if (this.#text === undefined) {
      const date = new Date();
      this.#text = date.toUTCString();
      setTimeout(this.#forget, 1000 - date.getMilliseconds()).unref();
    }
    return this.#text;
  }
}
