import { Controller, Get, Head, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { Query } from '../../redis/query.ts';
import { Representations } from '../content/representations.ts';
import type { ReadResponse } from '../response/read-response.ts';
import { Client } from '../request/request-client.ts';
import { AccessTokenGuard, KeyAllowlistGuard } from './access.guards.ts';
import { KEYS_PATH } from '../request/key-path.ts';
import { KeyToRead } from './raw-key.ts';
import { respondToRead } from './read-request.ts';

/** `GET` and `HEAD` by key. */
@Controller(KEYS_PATH)
@UseGuards(AccessTokenGuard, KeyAllowlistGuard)
export class KeysController {
  readonly #cache: CacheService;
  readonly #representations: Representations;

  constructor(cache: CacheService, representations: Representations) {
    this.#cache = cache;
    this.#representations = representations;
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

  #read(key: Buffer, request: Request, client: ReadClient): ReadResponse | Promise<ReadResponse> {
    return respondToRead(this.#cache, this.#representations, Query.get(key), { name: 'value', request, client });
  }
}
