import { Controller, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import { Access } from '../../access/access.ts';
import { BufferedBytes, type ReadClient, type Reservation } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import type { RequestSpan } from '../../cache/read-tracer.ts';
import { outcomeName } from '../../cache/read-through/read-outcome.ts';
import type { ReadOptions } from '../../cache/read-through/read-through.ts';
import type { ReadCounter } from '../../instance/read-metrics.ts';
import { AccessTokenGuard } from '../keys/access.guards.ts';
import { CachingPolicy } from '../keys/caching-policy.ts';
import { OUTCOME_PROBLEMS } from '../keys/key-response.ts';
import { wrongTypeProblems } from '../keys/wrong-type.ts';
import { BODY_TOO_LARGE, readPlainBody } from '../request/read-body.ts';
import { renderBuffered } from '../response/buffered-response.ts';
import { problemResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';
import { CollectedReads, ReadResponse } from '../response/read-response.ts';
import { Client } from '../request/request-client.ts';
import { maxResultsBytes } from '../response/json/results-body.ts';
import { parseMget } from './mget-request.ts';
import { type MgetOutcome, mgetResponse } from './mget-response.ts';
import { Query } from '../../redis/query.ts';

export const MGET_PATH = 'v1/mget';

/** `POST /v1/mget`: reads many keys. */
@Controller()
@UseGuards(AccessTokenGuard)
export class MgetController {
  readonly #access: Access;
  readonly #buffered: BufferedBytes;
  readonly #cache: CacheService;
  readonly #policy: CachingPolicy;

  constructor(access: Access, buffered: BufferedBytes, cache: CacheService, policy: CachingPolicy) {
    this.#access = access;
    this.#buffered = buffered;
    this.#cache = cache;
    this.#policy = policy;
  }

  /** @returns undefined if the client has disconnected. */
  @Post(MGET_PATH)
  @HttpCode(200)
  async mget(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    if (!isJson(request.headers)) return new ReadResponse(NOT_JSON);
    const body = await readPlainBody(request, { encoded: NOT_JSON, tooLarge: TOO_LARGE });
    if (!Buffer.isBuffer(body)) return body && new ReadResponse(body);
    const keys = parseMget(body);
    if ('code' in keys) {
      return new ReadResponse(problemResponse(keys), 'http', keys.code === 'bad-key' ? [keys.code] : []);
    }
    const reads = new CollectedReads();
    let span: RequestSpan | undefined;
    const traced = { client, noteSpan: (started: RequestSpan): void => void (span = started) };
    const maxBytes = maxResultsBytes(this.#buffered.limit);
    const response = await renderBuffered(this.#buffered, client, async (reservation) => {
      const outcomes = await this.#read(keys, maxBytes, traced, reservation);
      if (reservation === undefined) for (const outcome of outcomes) count(outcome, reads);
      return {
        values: outcomes.flatMap((outcome) => ('value' in outcome ? [outcome.value] : [])),
        render: async (allocate) =>
          mgetResponse(await this.#withTypes(keys, outcomes, span), this.#policy, allocate, maxBytes),
      };
    });
    return new ReadResponse(response ?? OVERLOADED, 'http', reads.outcomes);
  }

  async #read(
    keys: readonly Buffer[],
    maxBytes: number,
    traced: Pick<ReadOptions, 'client' | 'noteSpan'>,
    reservation: Reservation | undefined,
  ): Promise<MgetOutcome[]> {
    const allowed = keys.map((key) => this.#access.allowsKey(key));
    const outcomes = await this.#cache.readMany(
      keys.filter((_, i) => allowed[i]).map((key) => Query.get(key)),
      maxBytes,
      { ...traced, reservation, alreadyCounted: reservation !== undefined },
    );
    const inOrder = outcomes.values();
    return allowed.map((each): MgetOutcome => (each ? (inOrder.next().value ?? OMITTED) : NOT_ALLOWED));
  }

  /** Adds the problems of keys with another type, for which Redis is asked. */
  async #withTypes(
    keys: readonly Buffer[],
    outcomes: readonly MgetOutcome[],
    span: RequestSpan | undefined,
  ): Promise<readonly MgetOutcome[]> {
    const wrong = keys.filter((_, i) => outcomes[i].kind === 'wrong-type');
    if (wrong.length === 0) return outcomes;
    const problems = (await wrongTypeProblems(this.#cache, wrong, span)).values();
    return outcomes.map((outcome) =>
      outcome.kind === 'wrong-type' ? { ...outcome, problem: problems.next().value } : outcome,
    );
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
const OVERLOADED = problemResponse(OUTCOME_PROBLEMS.overloaded);

function isJson({ 'content-type': type = '' }: Request['headers']): boolean {
  return /^application\/json *(?:; *charset="?utf-8"? *)?$/i.test(type);
}
