import type { ReadCounter, ReadOutcomeName, Transport } from '../../instance/read-metrics.ts';
import type { HttpResponse } from './http-response.ts';

/**
 * The response of a route that reads keys: pages of other origins may read it, its body counts as buffered until the client
 * has received it, and its reads are counted just before it is sent.
 */
export class ReadResponse {
  readonly content: HttpResponse;
  readonly transport: Transport;
  /** How each of its reads ended. */
  readonly outcomes: readonly ReadOutcomeName[];

  constructor(content: HttpResponse, transport: Transport = 'http', outcomes: readonly ReadOutcomeName[] = []) {
    this.content = content;
    this.transport = transport;
    this.outcomes = outcomes;
  }
}

/** Collects the outcomes of the reads of a {@link ReadResponse}. */
export class CollectedReads implements ReadCounter {
  readonly outcomes: ReadOutcomeName[] = [];

  countRead(_transport: Transport, outcome: ReadOutcomeName, times = 1): void {
    for (let i = 0; i < times; i++) this.outcomes.push(outcome);
  }
}
