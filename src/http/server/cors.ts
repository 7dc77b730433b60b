import { NotFoundException } from '@nestjs/common';
import type { HttpResponse } from '../response/http-response.ts';

/** What a page may read beside what every page may. */
const EXPOSED = ['Access-Control-Expose-Headers', 'ETag, Age, Cache-Status, Retry-After'] as const;
const ALLOWED_REQUEST_HEADERS = 'Authorization, Cache-Control, Content-Type, If-None-Match';
/** Browsers keep the answer to a preflight request no longer. */
const PREFLIGHT_SECONDS = '7200';

/** Which pages of other origins may read keys (HTTP_CORS_ORIGINS; the Fetch standard, "CORS protocol"). */
export class Cors {
  /** Whether pages of any other origin may. */
  readonly on: boolean;
  /** Whether what is answered depends on who asks. */
  readonly byOrigin: boolean;
  /** Names and values of what is added to the answer to a request that names no origin. */
  readonly headers: readonly string[];
  readonly #origins: ReadonlySet<string>;

  /** @param origins none, `*` alone, or some as browsers write them. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
    this.on = origins.length > 0;
    const all = this.#origins.has('*');
    this.byOrigin = this.on && !all;
    this.headers = all ? ['Access-Control-Allow-Origin', '*', ...EXPOSED] : this.byOrigin ? ['Vary', 'Origin'] : [];
  }

  /** Names and values of what is added to the answer to a request with this `Origin`. */
  headersFor(origin: string | undefined): readonly string[] {
    if (!this.byOrigin || origin === undefined || !this.#origins.has(origin)) return this.headers;
    return [...this.headers, 'Access-Control-Allow-Origin', origin, ...EXPOSED];
  }

  /**
   * The answer to a preflight request, less {@link headersFor} whoever asks: without them nothing is allowed by it.
   *
   * @param headers names of request headers that are allowed beside those that every route allows.
   * @throws NotFoundException if pages of other origins may read nothing: then OPTIONS is a method like any other.
   */
  preflight(methods: string, headers?: string): HttpResponse {
    if (!this.on) throw new NotFoundException();
    const allowed = headers === undefined ? ALLOWED_REQUEST_HEADERS : `${ALLOWED_REQUEST_HEADERS}, ${headers}`;
    return {
      status: 204,
      headers: [
        ...['Access-Control-Allow-Methods', methods, 'Access-Control-Allow-Headers', allowed],
        ...['Access-Control-Max-Age', PREFLIGHT_SECONDS],
      ],
      body: undefined,
    };
  }
}
