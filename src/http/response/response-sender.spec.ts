import type { ServerResponse } from 'node:http';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { Cors } from '../server/cors.ts';
import type { HttpResponse } from './http-response.ts';
import { ReadResponse } from './read-response.ts';
import { ResponseSender } from './response-sender.ts';

const BODY = Buffer.alloc(10_000, 'a');
const CONTENT: HttpResponse = { status: 200, headers: ['Content-Length', '10000'], body: BODY };
const READ = new ReadResponse(CONTENT, 'upstash', ['hit', 'hit', 'miss']);

describe('ResponseSender', () => {
  let counts: ReadMetrics;
  let buffered: BufferedBytes;
  let sender: ResponseSender;
  beforeEach(() => {
    const memory = InstanceMemory.create();
    counts = new ReadMetrics(memory, 0);
    buffered = new BufferedBytes(memory, 0, { maxBufferedBytes: 1 << 20, threads: 1, maxQueuedLoads: 1 }, () => 0);
    sender = new ResponseSender(buffered, counts, new Cors(['https://page.example']));
  });

  const counted = () => [counts.reads('upstash', 'hit'), counts.reads('upstash', 'miss')];

  /** A response; `end` runs when it is written. */
  const responseTo = (method: string, end: (body: Buffer | undefined) => void, origin?: string) => {
    const state = { head: [] as unknown[], close: (): void => undefined };
    const response = {
      req: { method, headers: { origin } },
      closed: false,
      once: (_event: string, listener: () => void) => (state.close = listener),
      writeHead: (...head: unknown[]) => (state.head = head),
      end,
    };
    return { response: response as unknown as ServerResponse, state };
  };

  it('counts the reads before the response is written', () => {
    let seen: number[] = [];
    const { response } = responseTo('GET', () => (seen = counted()));
    sender.send(READ, response);
    expect([seen, counted()]).toEqual([
      [2, 1],
      [2, 1],
    ]);
  });

  it('takes the counts back, and throws, if writing throws', () => {
    const { response, state } = responseTo('GET', () => {
      throw new Error('cannot write');
    });
    expect(() => sender.send(READ, response)).toThrow('cannot write');
    expect(counted()).toEqual([0, 0]);
    state.close();
    expect(buffered.total).toBe(0);
  });

  it('counts the body of a read as buffered until the response has closed', () => {
    const { response, state } = responseTo('GET', () => undefined);
    sender.send(READ, response);
    expect(buffered.total).toBe(BODY.buffer.byteLength);
    state.close();
    expect(buffered.total).toBe(0);
  });

  it.each([
    ['HEAD', READ],
    ['GET', CONTENT],
  ] as const)('counts no memory for %s without a body, or without reads', (method, content) => {
    const { response } = responseTo(method, () => undefined);
    sender.send(content, response);
    expect(buffered.total).toBe(0);
  });

  it('sends CORS headers with reads alone, and no body for HEAD', () => {
    const bodies: (Buffer | undefined)[] = [];
    const heads = ([READ, CONTENT] as const).map((content) => {
      const { response, state } = responseTo('HEAD', (body) => bodies.push(body), 'https://page.example');
      sender.send(content, response);
      return state.head[1] as string[];
    });
    expect(heads.map((head) => head.includes('Access-Control-Allow-Origin'))).toEqual([true, false]);
    expect(heads[1]).toEqual(['Content-Length', '10000', 'X-Content-Type-Options', 'nosniff']);
    expect(bodies).toEqual([undefined, undefined]);
  });
});
