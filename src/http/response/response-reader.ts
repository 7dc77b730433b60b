import type { ServerResponse } from 'node:http';
import type { Reader } from '../../cache/read-through/buffered-bytes.ts';

/** The client that waits for a response. */
export class ResponseReader implements Reader {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get gone(): boolean {
    return this.#response.closed;
  }
}
