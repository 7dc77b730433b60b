/**
 * Measures the steps of a hit, without the kernel and the sockets of Node.js: nanoseconds per step over HTTP and the Redis
 * protocol, for random keys, with few entries and with many. `npm run bench:hit`
 */
import { Buffer } from 'node:buffer';
import { monotonicClock } from '../src/cache/shared-lru/clock.ts';
import { hashKey } from '../src/cache/shared-lru/index/hash.ts';
import { HitBuffer } from '../src/cache/shared-lru/hit-buffer.ts';
import { InstanceMemory } from '../src/instance/instance-memory.ts';
import { ReadMetrics } from '../src/instance/read-metrics.ts';
import { SharedLru } from '../src/cache/shared-lru/shared-lru.ts';
import { ResponseHeadTemplates } from '../src/http/fast-path/response-head-templates.ts';
import { RequestHead } from '../src/http/fast-path/request-head.ts';
import { KEY_NOT_FOUND, VALUE_TOO_LARGE, hitResponse } from '../src/http/keys/key-response.ts';
import { HttpDate } from '../src/http/response/response-head.ts';
import { GetRequest } from '../src/resp/protocol/get-request.ts';
import { ReplyWriter } from '../src/resp/protocol/reply-writer.ts';
import type { SocketWriter } from '../src/net/socket-writer.ts';
import { limitsFor } from './cache-limits.ts';
import { spread } from './spread.ts';
import { Query } from '../src/redis/query.ts';

const ENTRIES = [5000, 500_000];
const VALUE_BYTES = 100;
const KEY_BYTES = 12;
const ROUNDS = 7;
/** Requests prepared for a round, and how often they are repeated. */
const REQUESTS = 8192;
const PASSES = 20;
const HOT_KEYS_ROUNDS = 21;
/** Bytes of the keys that are read from one cache before the other has its turn. */
const PART_BYTES = 8192 * KEY_BYTES;

const clock = monotonicClock();
const counts = new ReadMetrics(InstanceMemory.create(), 0);
const hit = new HitBuffer();
const head = new RequestHead(8192);
const get = new GetRequest();
const writer = new ReplyWriter();
const messages = new ResponseHeadTemplates(
  hitResponse,
  {
    contentType: 'application/octet-stream',
    sandbox: false,
    notFound: KEY_NOT_FOUND,
    tooLarge: VALUE_TOO_LARGE,
    private: false,
    revalidate: false,
    honoursDirectives: true,
  },
  65_000,
  new HttpDate(),
);
const output = Buffer.alloc(4096);
const nowhere = { write: () => true } as unknown as SocketWriter;

interface Step {
  readonly name: string;
  /** @param keys keys of all reads of a round, concatenated; the one at `keyAt` is read, which is rarely a recent one. */
  readonly run: (lru: SharedLru, http: Buffer, resp: Buffer, keys: Buffer, keyAt: number) => void;
}

const KEY_AT = 'GET /v1/keys/'.length;
const STEPS: readonly Step[] = [
  { name: 'HTTP: parse the request', run: (_, http) => head.scan(http, 0) },
  { name: 'Redis protocol: parse the request', run: (_, __, resp) => get.match(resp, 0, resp.length) },
  {
    name: 'look up and copy (`SharedLru`)',
    run: (lru, _, __, keys, keyAt) => lru.tryGetInto(keys, keyAt, keyAt + KEY_BYTES, hit),
  },
  { name: '– of this: hash', run: (_, http) => hashKey(http, 1, 2, KEY_AT, KEY_AT + KEY_BYTES) },
  { name: '– of this: clock', run: () => clock() },
  { name: 'HTTP: write the head', run: () => messages.write(hit, output, 0) },
  { name: 'HTTP: write the value', run: () => hit.bytes.copy(output, 400, 0, hit.length) },
  {
    name: 'Redis protocol: write the reply',
    run: () => {
      if (!writer.hasRoom(hit.length)) writer.flush(nowhere);
      writer.hit(hit);
    },
  },
  { name: 'count the read', run: () => counts.countRead('http', 'hit') },
];

console.log(`| | ${ENTRIES.map((entries) => `${entries.toLocaleString('en')} entries, ns`).join(' | ')} |`);
console.log(`| --- |${' --- |'.repeat(ENTRIES.length)}`);
const columns = ENTRIES.map(measure);
for (const [i, { name }] of STEPS.entries()) {
  console.log(`| ${name} | ${columns.map((times) => spread(times[i], 0)).join(' | ')} |`);
}

// The two differ by less than a round does from the next: alternating, each round has a ratio of its own.
console.log(`\nAll steps of a hit over HTTP with hot keys counted, relative to without:`);
for (const entries of ENTRIES) {
  const ratios = measureHotKeys(entries);
  console.log(`- ${entries.toLocaleString('en')} entries: ${spread(ratios, 3)}`);
}

/** Returns by round how much more processor time a hit takes if hot keys are counted: 1 if as much. */
function measureHotKeys(entries: number): number[] {
  const caches = [filled(entries), filled(entries, true)] as const;
  const keys = Buffer.from(Array.from({ length: REQUESTS * PASSES }, () => drawnOf(entries)).join(''));
  const request = Buffer.from(`GET /v1/keys/${nameOf(0)} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n`);
  const ratios: number[] = [];
  for (let round = -1; round < HOT_KEYS_ROUNDS; round++) {
    process.stderr.write(`\r${entries} entries, hot keys, round ${Math.max(0, round)} of ${HOT_KEYS_ROUNDS}`);
    const times = [0, 0];
    // In small parts by turns, so that both meet the same disturbances.
    for (let from = 0; from < keys.length; from += PART_BYTES) {
      const first = (from / PART_BYTES + round) & 1;
      for (const which of [first, 1 - first]) {
        const lru = caches[which];
        const start = process.cpuUsage();
        const end = Math.min(keys.length, from + PART_BYTES);
        for (let at = from; at < end; at += KEY_BYTES) {
          head.scan(request, 0);
          lru.tryGetInto(keys, at, at + KEY_BYTES, hit);
          messages.write(hit, output, 0);
          hit.bytes.copy(output, 400, 0, hit.length);
          counts.countRead('http', 'hit');
        }
        times[which] += process.cpuUsage(start).user;
      }
    }
    if (round >= 0) ratios.push(times[1] / times[0]);
  }
  process.stderr.write('\r\x1b[K');
  return ratios;
}

/** Returns the nanoseconds of each step in each round. */
function measure(entries: number): number[][] {
  const lru = filled(entries);
  const times = STEPS.map(() => [] as number[]);
  for (let round = -1; round < ROUNDS; round++) {
    process.stderr.write(`\r${entries} entries, round ${Math.max(0, round)} of ${ROUNDS}`);
    const draw = (): string => drawnOf(entries);
    const names = Array.from({ length: REQUESTS }, draw);
    const keys = Buffer.from(Array.from({ length: REQUESTS * PASSES }, draw).join(''));
    const http = names.map((key) => Buffer.from(`GET /v1/keys/${key} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n`));
    const resp = names.map((key) => Buffer.from(`*2\r\n$3\r\nGET\r\n$${KEY_BYTES}\r\n${key}\r\n`));
    for (const [i, { run }] of STEPS.entries()) {
      const start = process.hrtime.bigint();
      let keyAt = 0;
      for (let pass = 0; pass < PASSES; pass++) {
        for (let r = 0; r < REQUESTS; r++, keyAt += KEY_BYTES) run(lru, http[r], resp[r], keys, keyAt);
      }
      const ns = Number(process.hrtime.bigint() - start) / (PASSES * REQUESTS);
      // The first round is a warm-up.
      if (round >= 0) times[i].push(ns);
    }
  }
  process.stderr.write('\r\x1b[K');
  return times;
}

function filled(entries: number, hotKeys = false): SharedLru {
  const lru = SharedLru.create({ ...limitsFor(entries), hotKeys }, 1, clock);
  for (let i = 0; i < entries; i++) {
    const found = lru.lookup(Query.get(Buffer.from(nameOf(i))));
    if (found.kind === 'miss') lru.commit(found.lease, Buffer.alloc(VALUE_BYTES, 'v'), [i, i, i], 3_600_000);
  }
  return lru;
}

function drawnOf(entries: number): string {
  return nameOf(Math.floor(Math.random() * entries));
}

function nameOf(i: number): string {
  return `key:${String(i).padStart(KEY_BYTES - 4, '0')}`;
}
