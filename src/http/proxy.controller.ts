import { Controller, Get, Head, Options, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Access } from '../access/access.ts';
import { BufferedBytes } from '../cache/buffered-bytes.ts';
import { CacheService } from '../cache/cache.service.ts';
import { outcomeName } from '../cache/read-outcome.ts';
import { RequestCounts } from '../cache/request-counts.ts';
import { type Answer, sendHeld } from './answer.ts';
import { Cors } from './cors.ts';
import { type KeyAnswerPolicy, badKeyAnswer, keyAnswer } from './key-answer.ts';
import { type KeyRefusal, refuseClient, refuseKey } from './key-refusal.ts';
import { KEYS_PATH, keyFromTarget } from './key-path.ts';
import { KeyPolicy } from './key-policy.ts';
import { DescribeGet, DescribeHead } from './proxy.openapi.ts';
import { readDirectives } from './read-directives.ts';
import { ResponseReader } from './response-reader.ts';

const METHODS = 'GET, HEAD';

/** `GET` and `HEAD` by key. */
@ApiTags('keys')
@Controller()
export class ProxyController {
  readonly #access: Access;
  readonly #buffered: BufferedBytes;
  readonly #cache: CacheService;
  readonly #counts: RequestCounts;
  readonly #cors: Cors;
  readonly #policy: KeyAnswerPolicy;

  constructor(
    access: Access,
    cache: CacheService,
    counts: RequestCounts,
    cors: Cors,
    policy: KeyPolicy,
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
    const refused = refuseClient(this.#access, authorization);
    if (refused !== undefined) return this.#refuse(refused, request, response);
    const key = keyFromTarget(request.originalUrl, KEYS_PATH);
    if (!Buffer.isBuffer(key)) {
      this.#send(badKeyAnswer(key), request, response);
      return this.#counts.countRead('http', 'bad-key');
    }
    const notAllowed = refuseKey(this.#access, key);
    if (notAllowed !== undefined) return this.#refuse(notAllowed, request, response);
    const reader = new ResponseReader(response);
    const read = this.#cache.read(key, readDirectives(cacheControl, pragma), { reader });
    const outcome = read instanceof Promise ? await read : read;
    this.#send(keyAnswer(outcome, ifNoneMatch, this.#policy), request, response);
    // Not before: a response that cannot be written has served nobody.
    this.#counts.countRead('http', outcomeName(outcome));
  }

  #refuse({ outcome, answer }: KeyRefusal, request: Request, response: Response): void {
    this.#send(answer, request, response);
    this.#counts.countRead('http', outcome);
  }

  #send(answer: Answer, request: Request, response: Response): void {
    sendHeld(answer, request.method, response, this.#buffered, this.#cors.headersFor(request.headers.origin));
  }
}
