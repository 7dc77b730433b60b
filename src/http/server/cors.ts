import { NotFoundException } from '@nestjs/common';
import type { HttpResponse } from '../response/http-response.ts';

/** Response headers that pages may read in addition to the safelisted ones. */
const EXPOSED = [
  'Access-Control-Expose-Headers',
  'ETag, Age, Cache-Status, Accept-Ranges, Content-Range, Retry-After',
] as const;
const ALLOWED_REQUEST_HEADERS = 'Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range';
/** The longest time for which browsers cache the response to a preflight request. */
const PREFLIGHT_SECONDS = '7200';

/** CORS headers for pages of other origins (HTTP_CORS_ORIGINS; the Fetch standard, "CORS protocol"). */
export class Cors {
  /** Whether any other origin is allowed. */
  readonly on: boolean;
  /** Whether responses depend on the Origin of the request. */
  readonly byOrigin: boolean;
  /** Names and values of headers for a request without Origin. */
  readonly headers: readonly string[];
  readonly #origins: ReadonlySet<string>;

  /** @param origins empty, `*` alone, or origins as browsers serialise them. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
    this.on = origins.length > 0;
    const all = this.#origins.has('*');
    this.byOrigin = this.on && !all;
    this.headers = all ? ['Access-Control-Allow-Origin', '*', ...EXPOSED] : this.byOrigin ? ['Vary', 'Origin'] : [];
  }

  /** Returns names and values of headers for a request with this `Origin`. */
  headersFor(origin: string | undefined): readonly string[] {
    if (!this.byOrigin || origin === undefined || !this.#origins.has(origin)) return this.headers;
    return [...this.headers, 'Access-Control-Allow-Origin', origin, ...EXPOSED];
  }

  /**
   * Renders the response to a preflight request, without {@link headersFor} its origin, which must be added to it.
   *
   * @param headers names of request headers to allow in addition to those that every route allows.
   * @throws NotFoundException if no other origin is allowed: then OPTIONS is an unknown method.
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
