import { Controller, Options } from '@nestjs/common';
import { KEYS_PATH } from './keys/key-path.ts';
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

  @Options(`${KEYS_PATH}:key`)
  key(): ReadResponse {
    return new ReadResponse(this.#cors.preflight('GET, HEAD'));
  }

  @Options(MGET_PATH)
  mget(): ReadResponse {
    return new ReadResponse(this.#cors.preflight('POST'));
  }
}
