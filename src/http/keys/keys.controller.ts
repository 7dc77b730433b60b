import { Controller, Get, Head, Options, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Access } from '../../access/access.ts';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { outcomeName } from '../../cache/read-through/read-outcome.ts';
import { ReadMetrics, type ReadOutcomeName } from '../../instance/read-metrics.ts';
import { type HttpResponse, sendBuffered } from '../response/http-response.ts';
import { Cors } from '../server/cors.ts';
import { type KeyResponsePolicy, badKeyResponse, keyResponse } from './key-response.ts';
import { type AccessDenied, authenticate, authorizeKey } from './access-denied.ts';
import { KEYS_PATH, keyFromTarget } from './key-path.ts';
import { CachingPolicy } from './caching-policy.ts';
import { readDirectives } from './request-cache-control.ts';
import { ResponseReader } from '../response/response-reader.ts';

const METHODS = 'GET, HEAD';

/** `GET` and `HEAD` by key. */
@Controller()
export class KeysController {
  readonly #access: Access;
  readonly #buffered: BufferedBytes;
  readonly #cache: CacheService;
  readonly #counts: ReadMetrics;
  readonly #cors: Cors;
  readonly #policy: KeyResponsePolicy;

  constructor(
    access: Access,
    cache: CacheService,
    counts: ReadMetrics,
    cors: Cors,
    policy: CachingPolicy,
    buffered: BufferedBytes,
  ) {
    this.#access = access;
    this.#cors = cors;
    this.#cache = cache;
    this.#buffered = buffered;
    this.#counts = counts;
    this.#policy = policy;
  }

  // Before GET, whose route Express would otherwise use for HEAD requests.
  @Head(`${KEYS_PATH}:key`)
  head(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#read(request, response);
  }

  @Get(`${KEYS_PATH}:key`)
  get(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#read(request, response);
  }

  @Options(`${KEYS_PATH}:key`)
  preflight(@Req() request: Request, @Res() response: Response): void {
    this.#send(this.#cors.preflight(METHODS), request, response);
  }

  async #read(request: Request, response: Response): Promise<void> {
    const { authorization, 'if-none-match': ifNoneMatch, 'cache-control': cacheControl, pragma } = request.headers;
    const unauthorized = authenticate(this.#access, authorization);
    if (unauthorized !== undefined) return this.#deny(unauthorized, request, response);
    const key = keyFromTarget(request.originalUrl, KEYS_PATH);
    if (!Buffer.isBuffer(key)) {
      return this.#sendCounted(badKeyResponse(key), 'bad-key', request, response);
    }
    const notAllowed = authorizeKey(this.#access, key);
    if (notAllowed !== undefined) return this.#deny(notAllowed, request, response);
    const reader = new ResponseReader(response);
    const read = this.#cache.read(key, readDirectives(cacheControl, pragma), { client: reader });
    const outcome = read instanceof Promise ? await read : read;
    this.#sendCounted(keyResponse(outcome, ifNoneMatch, this.#policy), outcomeName(outcome), request, response);
  }

  #deny({ outcome, response: denial }: AccessDenied, request: Request, response: Response): void {
    this.#sendCounted(denial, outcome, request, response);
  }

  /** Counts a read, then sends its response; a response that could not be written is not counted as a read. */
  #sendCounted(content: HttpResponse, outcome: ReadOutcomeName, request: Request, response: Response): void {
    this.#counts.countRead('http', outcome);
    try {
      this.#send(content, request, response);
    } catch (bug) {
      this.#counts.countRead('http', outcome, -1);
      throw bug;
    }
  }

  #send(content: HttpResponse, request: Request, response: Response): void {
    sendBuffered(content, request.method, response, this.#buffered, this.#cors.headersFor(request.headers.origin));
  }
}
