import type { ServerResponse } from 'node:http';
import type { Reader } from '../../cache/read-through/buffered-bytes.ts';

/** The client of a response, which may disconnect while a read is in flight. */
export class ResponseReader implements Reader {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get gone(): boolean {
    return this.#response.closed;
  }
}
