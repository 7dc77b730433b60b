import { Controller, Get, Head, Options, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Access } from '../../access/access.ts';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { outcomeName } from '../../cache/read-through/read-outcome.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { type HttpResponse, sendHeld } from '../response/http-response.ts';
import { Cors } from '../server/cors.ts';
import { type KeyAnswerPolicy, badKeyAnswer, keyResponse } from './key-response.ts';
import { type AccessDenied, authenticate, authorizeKey } from './access-denied.ts';
import { KEYS_PATH, keyFromTarget } from './key-path.ts';
import { CachingPolicy } from './caching-policy.ts';
import { DescribeGet, DescribeHead } from './keys.openapi.ts';
import { readDirectives } from './request-cache-control.ts';
import { ResponseReader } from '../response/response-reader.ts';

const METHODS = 'GET, HEAD';

/** `GET` and `HEAD` by key. */
@ApiTags('keys')
@Controller()
export class KeysController {
  readonly #access: Access;
  readonly #buffered: BufferedBytes;
  readonly #cache: CacheService;
  readonly #counts: ReadMetrics;
  readonly #cors: Cors;
  readonly #policy: KeyAnswerPolicy;

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

  // Before GET, which Express would take HEAD requests to as well.
  @Head(`${KEYS_PATH}:key`)
  @DescribeHead()
  head(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#answer(request, response);
  }

  @Get(`${KEYS_PATH}:key`)
  @DescribeGet()
  get(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#answer(request, response);
  }

  @Options(`${KEYS_PATH}:key`)
  @ApiExcludeEndpoint()
  preflight(@Req() request: Request, @Res() response: Response): void {
    this.#send(this.#cors.preflight(METHODS), request, response);
  }

  async #answer(request: Request, response: Response): Promise<void> {
    const { authorization, 'if-none-match': ifNoneMatch, 'cache-control': cacheControl, pragma } = request.headers;
    const refused = authenticate(this.#access, authorization);
    if (refused !== undefined) return this.#refuse(refused, request, response);
    const key = keyFromTarget(request.originalUrl, KEYS_PATH);
    if (!Buffer.isBuffer(key)) {
      this.#send(badKeyAnswer(key), request, response);
      return this.#counts.countRead('http', 'bad-key');
    }
    const notAllowed = authorizeKey(this.#access, key);
    if (notAllowed !== undefined) return this.#refuse(notAllowed, request, response);
    const reader = new ResponseReader(response);
    const read = this.#cache.read(key, readDirectives(cacheControl, pragma), { reader });
    const outcome = read instanceof Promise ? await read : read;
    this.#send(keyResponse(outcome, ifNoneMatch, this.#policy), request, response);
    // Not before: a response that cannot be written has served nobody.
    this.#counts.countRead('http', outcomeName(outcome));
  }

  #refuse({ outcome, answer }: AccessDenied, request: Request, response: Response): void {
    this.#send(answer, request, response);
    this.#counts.countRead('http', outcome);
  }

  #send(answer: HttpResponse, request: Request, response: Response): void {
    sendHeld(answer, request.method, response, this.#buffered, this.#cors.headersFor(request.headers.origin));
  }
}
