import { Controller, Get, Head, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { type DirectedOutcome, outcomeName } from '../../cache/read-through/read-outcome.ts';
import { Query } from '../../redis/query.ts';
import { ReadResponse } from '../response/read-response.ts';
import { Client } from '../response/response-client.ts';
import { AccessTokenGuard, KeyAllowlistGuard } from './access.guards.ts';
import { CachingPolicy } from './caching-policy.ts';
import { KEYS_PATH } from './key-path.ts';
import { keyResponse } from './key-response.ts';
import { KeyToRead } from './raw-key.ts';
import { readDirectives } from './request-cache-control.ts';

/** `GET` and `HEAD` by key. */
@Controller(KEYS_PATH)
@UseGuards(AccessTokenGuard, KeyAllowlistGuard)
export class KeysController {
  readonly #cache: CacheService;
  readonly #policy: CachingPolicy;

  constructor(cache: CacheService, policy: CachingPolicy) {
    this.#cache = cache;
    this.#policy = policy;
  }

  // Before GET, whose route Express would otherwise use for HEAD requests.
  @Head(':key')
  head(
    @KeyToRead() key: Buffer,
    @Req() request: Request,
    @Client() client: ReadClient,
  ): ReadResponse | Promise<ReadResponse> {
    return this.#read(key, request, client);
  }

  @Get(':key')
  get(
    @KeyToRead() key: Buffer,
    @Req() request: Request,
    @Client() client: ReadClient,
  ): ReadResponse | Promise<ReadResponse> {
    return this.#read(key, request, client);
  }

  /** A hit needs no promise. */
  #read(key: Buffer, { headers }: Request, client: ReadClient): ReadResponse | Promise<ReadResponse> {
    const respond = (outcome: DirectedOutcome): ReadResponse =>
      new ReadResponse(keyResponse(outcome, headers['if-none-match'], this.#policy), 'http', [outcomeName(outcome)]);
    const directives = readDirectives(headers['cache-control'], headers.pragma);
    const read = this.#cache.read(Query.get(key), directives, { client });
    return read instanceof Promise ? read.then(respond) : respond(read);
  }
}
