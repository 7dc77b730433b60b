import type { ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { Cors } from '../server/cors.ts';
import { type HttpResponse, send } from './http-response.ts';
import { ReadResponse } from './read-response.ts';

/** Sends the responses of controllers, guards and the exception filter. */
@Injectable()
export class ResponseSender {
  readonly #buffered: BufferedBytes;
  readonly #counts: ReadMetrics;
  readonly #cors: Cors;

  constructor(buffered: BufferedBytes, counts: ReadMetrics, cors: Cors) {
    this.#buffered = buffered;
    this.#counts = counts;
    this.#cors = cors;
  }

  send(content: HttpResponse | ReadResponse, response: ServerResponse): void {
    if (content instanceof ReadResponse) this.#sendRead(content, response);
    else send(content, response);
  }

  /**
   * Counts the reads first, so that a client that has the response finds them counted by any thread. A read whose response
   * could not be written is not one that was served.
   */
  #sendRead(read: ReadResponse, response: ServerResponse): void {
    this.#count(read, 1);
    try {
      this.#hold(read.content, response);
      send(read.content, response, this.#cors.headersFor(response.req.headers.origin));
    } catch (bug) {
      this.#count(read, -1);
      throw bug;
    }
  }

  /** Counts the body as buffered until the client has received it. */
  #hold({ body }: HttpResponse, response: ServerResponse): void {
    if (body === undefined || response.req.method === 'HEAD' || response.closed) return;
    const { buffer } = body;
    this.#buffered.hold(buffer);
    response.once('close', () => this.#buffered.release(buffer));
  }

  #count({ transport, outcomes }: ReadResponse, times: 1 | -1): void {
    for (const outcome of outcomes) this.#counts.countRead(transport, outcome, times);
  }
}
