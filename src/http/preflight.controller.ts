import { Controller, Options } from '@nestjs/common';
import { HASHES_PATH, JSON_PATH, KEYS_PATH, LISTS_PATH, SETS_PATH, SORTED_SETS_PATH } from './request/key-path.ts';
import { MGET_PATH } from './mget/mget.controller.ts';
import { ReadResponse } from './response/read-response.ts';
import { Cors } from './server/cors.ts';

/** Responds to preflight requests for the routes that pages of other origins may use. */
@Controller()
export class PreflightController {
  readonly #cors: Cors;

  constructor(cors: Cors) {
    this.#cors = cors;
  }

  @Options([
    ...[KEYS_PATH, HASHES_PATH, LISTS_PATH, SETS_PATH, SORTED_SETS_PATH, JSON_PATH].map((path) => `${path}:key`),
    ...[HASHES_PATH, SETS_PATH].map((path) => `${path}:key/:part`),
  ])
  key(): ReadResponse {
    return new ReadResponse(this.#cors.preflight('GET, HEAD'));
  }

  @Options(MGET_PATH)
  mget(): ReadResponse {
    return new ReadResponse(this.#cors.preflight('POST'));
  }
}
