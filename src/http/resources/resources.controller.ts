import { Controller, Get, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import { CacheService } from '../../cache/cache.service.ts';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import { Query } from '../../redis/query.ts';
import { AccessTokenGuard, KeyAllowlistGuard } from '../keys/access.guards.ts';
import { Representations } from '../content/representations.ts';
import { HASHES_PATH, JSON_PATH, LISTS_PATH, SETS_PATH, SORTED_SETS_PATH, splitTarget } from '../request/key-path.ts';
import { KeyToRead, PartToRead } from '../keys/raw-key.ts';
import { respondToRead } from '../keys/read-request.ts';
import { unknownParameter } from '../request/unknown-input.ts';
import { problemResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';
import { ReadResponse } from '../response/read-response.ts';
import { Client } from '../request/request-client.ts';
import { RESOURCES, type Resource, type ResourceRead, readFromQuery } from './resource.ts';

type Reading = ReadResponse | Promise<ReadResponse>;

/** `GET` of the resources that represent keys of other types than string. Express serves `HEAD` with the same handlers. */
@Controller()
@UseGuards(AccessTokenGuard, KeyAllowlistGuard)
export class ResourcesController {
  readonly #cache: CacheService;
  readonly #representations: Representations;

  constructor(cache: CacheService, representations: Representations) {
    this.#cache = cache;
    this.#representations = representations;
  }

  @Get(`${HASHES_PATH}:key`)
  hash(@KeyToRead() key: Buffer, @Req() request: Request, @Client() client: ReadClient): Reading {
    return this.#readWhole(RESOURCES.hash, key, request, client);
  }

  @Get(`${HASHES_PATH}:key/:field`)
  field(
    @KeyToRead() key: Buffer,
    @PartToRead() field: Buffer,
    @Req() request: Request,
    @Client() client: ReadClient,
  ): Reading {
    return this.#readPart(RESOURCES.hash, key, field, request, client);
  }

  @Get(`${LISTS_PATH}:key`)
  list(@KeyToRead() key: Buffer, @Req() request: Request, @Client() client: ReadClient): Reading {
    return this.#readWhole(RESOURCES.list, key, request, client);
  }

  @Get(`${SETS_PATH}:key`)
  set(@KeyToRead() key: Buffer, @Req() request: Request, @Client() client: ReadClient): Reading {
    return this.#readWhole(RESOURCES.set, key, request, client);
  }

  @Get(`${SETS_PATH}:key/:member`)
  member(
    @KeyToRead() key: Buffer,
    @PartToRead() member: Buffer,
    @Req() request: Request,
    @Client() client: ReadClient,
  ): Reading {
    return this.#readPart(RESOURCES.set, key, member, request, client);
  }

  @Get(`${SORTED_SETS_PATH}:key`)
  sortedSet(@KeyToRead() key: Buffer, @Req() request: Request, @Client() client: ReadClient): Reading {
    return this.#readWhole(RESOURCES.zset, key, request, client);
  }

  @Get(`${JSON_PATH}:key`)
  json(@KeyToRead() key: Buffer, @Req() request: Request, @Client() client: ReadClient): Reading {
    return this.#readWhole(RESOURCES['ReJSON-RL'], key, request, client);
  }

  /** Reads what the query of the request selects. */
  #readWhole(resource: Resource, key: Buffer, request: Request, client: ReadClient): Reading {
    const read = readFromQuery(resource, queryOf(request.originalUrl));
    return typeof read === 'string' ? badRequest(read) : this.#read(read, key, request, client);
  }

  #readPart(
    resource: Resource & Required<Pick<Resource, 'readPart'>>,
    key: Buffer,
    part: Buffer,
    request: Request,
    client: ReadClient,
  ): Reading {
    const query = queryOf(request.originalUrl);
    const unknown = query === undefined ? undefined : unknownParameter(query, []);
    return unknown === undefined ? this.#read(resource.readPart(part), key, request, client) : badRequest(unknown);
  }

  #read(
    { command, form, selector, representation }: ResourceRead,
    key: Buffer,
    request: Request,
    client: ReadClient,
  ): Reading {
    return respondToRead(this.#cache, this.#representations, Query.of(key, command, form, selector), {
      name: representation,
      request,
      client,
    });
  }
}

function badRequest(detail: string): ReadResponse {
  return new ReadResponse(problemResponse(problem('bad-request', detail)));
}

/** Returns the query of a target, decoded from UTF-8. node:http decodes the target as Latin-1, one character for each byte. */
function queryOf(target: string): string | undefined {
  const [, query] = splitTarget(target);
  return query === undefined ? undefined : Buffer.from(query, 'latin1').toString();
}
