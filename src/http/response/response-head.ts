import { STATUS_CODES } from 'node:http';
import { type HttpResponse, COMMON_HEADERS } from './http-response.ts';

/** How a connection goes on after an answer. */
export interface Persistence {
  /** Whether the connection ends with it. */
  readonly close: boolean;
  /** Milliseconds for which the connection is kept for a next request; 0: it is not said. */
  readonly keepAliveTimeoutMs: number;
}

/**
 * Status line and headers of an answer, to the empty line, as node:http writes them.
 *
 * @param more names and values that stand behind the answer's own.
 */
export function messageHead(
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

/** The date as HTTP has it (RFC 9110, section 5.6.7), made anew once a second. */
export class HttpDate {
  #text: string | undefined;
  readonly #forget = (): void => {
    this.#text = undefined;
  };

  /** The same string object until the second is over. */
  get now(): string {
    if (this.#text === undefined) {
      const date = new Date();
      this.#text = date.toUTCString();
      setTimeout(this.#forget, 1000 - date.getMilliseconds()).unref();
    }
    return this.#text;
  }
}
