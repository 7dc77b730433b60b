import type { ServerResponse } from 'node:http';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';

/** The client of a response, which may disconnect while a read is in flight. */
export class ResponseReader implements ReadClient {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get disconnected(): boolean {
    return this.#response.closed;
  }
}
