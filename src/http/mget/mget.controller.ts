import { Controller, HttpCode, Options, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Access } from '../../access/access.ts';
import { BufferedBytes, type ReadClient, type Reservation } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { outcomeName } from '../../cache/read-through/read-outcome.ts';
import { PendingReads } from '../../cache/read-through/pending-reads.ts';
import { type ReadCounter, ReadMetrics } from '../../instance/read-metrics.ts';
import { type HttpResponse, problemResponse, sendBuffered } from '../response/http-response.ts';
import { Cors } from '../server/cors.ts';
import { authenticate } from '../keys/access-denied.ts';
import { CachingPolicy } from '../keys/caching-policy.ts';
import { problem } from '../response/problem.ts';
import { OUTCOME_PROBLEMS } from '../response/outcome-problem.ts';
import { renderBuffered } from '../response/buffered-response.ts';
import { ResponseReader } from '../response/response-reader.ts';
import { maxResultsBytes } from '../response/results-body.ts';
import { type MgetOutcome, mgetResponse } from './mget-response.ts';
import { parseMget } from './mget-request.ts';
import { BODY_TOO_LARGE, readPlainBody } from '../request/read-body.ts';

const MGET_PATH = 'v1/mget';

/** `POST /v1/mget`: reads many keys. */
@Controller()
export class MgetController {
  readonly #access: Access;
  readonly #cache: CacheService;
  readonly #buffered: BufferedBytes;
  readonly #counts: ReadMetrics;
  readonly #policy: CachingPolicy;
  readonly #cors: Cors;

  constructor(
    access: Access,
    cache: CacheService,
    counts: ReadMetrics,
    cors: Cors,
    policy: CachingPolicy,
    buffered: BufferedBytes,
  ) {
    this.#policy = policy;
    this.#cors = cors;
    this.#access = access;
    this.#cache = cache;
    this.#buffered = buffered;
    this.#counts = counts;
  }

  @Post(MGET_PATH)
  @HttpCode(200)
  async mget(@Req() request: Request, @Res() response: Response): Promise<void> {
    const reads = new PendingReads('http', this.#counts);
    const content = await this.#respondTo(request, new ResponseReader(response), reads);
    reads.publish();
    try {
      if (content !== undefined) this.#send(content, request, response);
    } catch (bug) {
      reads.takeBack();
      throw bug;
    }
  }

  @Options(MGET_PATH)
  preflight(@Req() request: Request, @Res() response: Response): void {
    this.#send(this.#cors.preflight('POST'), request, response);
  }

  #send(content: HttpResponse, request: Request, response: Response): void {
    sendBuffered(content, request.method, response, this.#buffered, this.#cors.headersFor(request.headers.origin));
  }

  /** @returns undefined if the client has disconnected. */
  async #respondTo(request: Request, reader: ReadClient, reads: ReadCounter): Promise<HttpResponse | undefined> {
    const unauthorized = authenticate(this.#access, request.headers.authorization);
    if (unauthorized !== undefined) {
      reads.countRead('http', unauthorized.outcome);
      return unauthorized.response;
    }
    if (!isJson(request.headers)) return NOT_JSON;
    const body = await readPlainBody(request, { encoded: NOT_JSON, tooLarge: TOO_LARGE });
    if (!Buffer.isBuffer(body)) return body;
    const keys = parseMget(body);
    if ('code' in keys) {
      if (keys.code === 'bad-key') reads.countRead('http', 'bad-key');
      return problemResponse(keys);
    }
    const maxBytes = maxResultsBytes(this.#buffered.limit);
    const response = await renderBuffered(this.#buffered, reader, async (room) => {
      const outcomes = await this.#read(keys, maxBytes, reader, room);
      if (room === undefined) for (const outcome of outcomes) count(outcome, reads);
      return {
        values: outcomes.flatMap((outcome) => ('value' in outcome ? [outcome.value] : [])),
        render: (allocate) => mgetResponse(outcomes, this.#policy, allocate, maxBytes),
      };
    });
    return response ?? problemResponse(OUTCOME_PROBLEMS.overloaded);
  }

  async #read(
    keys: readonly Buffer[],
    maxBytes: number,
    reader: ReadClient,
    room: Reservation | undefined,
  ): Promise<MgetOutcome[]> {
    const allowed = keys.map((key) => this.#access.allowsKey(key));
    const outcomes = await this.#cache.readMany(
      keys.filter((_, i) => allowed[i]),
      maxBytes,
      { client: reader, reservation: room, alreadyCounted: room !== undefined },
    );
    const inOrder = outcomes.values();
    return allowed.map((each): MgetOutcome => (each ? (inOrder.next().value ?? OMITTED) : NOT_ALLOWED));
  }
}

function count(outcome: MgetOutcome, reads: ReadCounter): void {
  if (outcome.kind === 'omitted') return;
  reads.countRead('http', outcome.kind === 'not-allowed' ? outcome.kind : outcomeName(outcome));
}

const NOT_ALLOWED: MgetOutcome = { kind: 'not-allowed' };
const OMITTED: MgetOutcome = { kind: 'omitted' };
const NOT_JSON = problemResponse(
  problem('unsupported-media-type', 'Expected Content-Type: application/json (UTF-8, no Content-Encoding).'),
);
const TOO_LARGE = problemResponse(BODY_TOO_LARGE);

function isJson({ 'content-type': type = '' }: Request['headers']): boolean {
  return /^application\/json *(?:; *charset="?utf-8"? *)?$/i.test(type);
}
