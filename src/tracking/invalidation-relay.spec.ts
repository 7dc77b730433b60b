import { beforeEach, expect, it } from '@jest/globals';
import { ClientTrackingCounts } from '../instance/counts/client-tracking-counts.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import { unpackKeys } from '../instance/packed-keys.ts';
import { InvalidationRelay, MAX_WAITING_BYTES } from './invalidation-relay.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let memory: InstanceMemory;
let relay: InvalidationRelay;
let retries: (() => void)[];

/** A worker thread with a client that tracks keys, and the messages that it received and has not processed. */
class Thread {
  readonly counts: ClientTrackingCounts;
  messages: (Uint8Array | undefined)[] = [];

  constructor(row: number) {
    relay.add(row, (keys) => this.messages.push(keys));
    this.counts = new ClientTrackingCounts(memory, row);
    this.counts.addClients(1);
  }

  /** Processes all messages; returns the keys of each, or `all`. */
  process(): (string[] | 'all')[] {
    return this.messages.splice(0).map((keys) => {
      this.counts.noteProcessed(keys?.length ?? 1);
      return keys === undefined ? 'all' : unpackKeys(keys).map((key) => key.toString());
    });
  }
}

function invalidate(...keys: string[]): void {
  for (const key of keys) relay.invalidate(Buffer.from(key));
}

function retry(): void {
  for (const each of retries.splice(0)) each();
}

beforeEach(() => {
  memory = InstanceMemory.create();
  retries = [];
  relay = new InvalidationRelay(memory, (work) => retries.push(work));
});

it('sends the keys of a tick in one message to each thread that has tracking clients', async () => {
  const [first, second, other] = [new Thread(0), new Thread(1), new Thread(2)];
  other.counts.addClients(-1);
  invalidate('a', 'b');
  await tick();
  invalidate('c');
  relay.invalidateAll();
  invalidate('d');
  await tick();
  const expected = [['a', 'b'], 'all', ['d']];
  expect([first, second, other].map((thread) => thread.process())).toEqual([expected, expected, []]);
});

it('copies keys, which are views of a buffer that is overwritten', async () => {
  const thread = new Thread(0);
  const chunk = Buffer.from('key');
  relay.invalidate(chunk);
  chunk.fill('x');
  await tick();
  expect(thread.process()).toEqual([['key']]);
});

it('sends nothing without clients, and nothing to a thread that has exited', async () => {
  const thread = new Thread(0);
  relay.remove(0);
  expect(thread.counts.clients).toBe(0);
  invalidate('a');
  relay.invalidateAll();
  await tick();
  expect(thread.messages).toEqual([]);
});

it('omits keys that no client of the proxy can read', async () => {
  const thread = new Thread(0);
  invalidate('k'.repeat(64 * 1024 + 1), 'a');
  await tick();
  expect(thread.process()).toEqual([['a']]);
});

it('replaces the keys that wait for a thread that does not keep up with one message, until it has processed that', async () => {
  const [busy, idle] = [new Thread(0), new Thread(1)];
  const key = 'k'.repeat(1000);
  for (let i = 0; i < MAX_WAITING_BYTES / 1000 + 10; i++) {
    invalidate(key);
    await tick();
    idle.process();
  }
  expect(busy.messages.length).toBeLessThanOrEqual(MAX_WAITING_BYTES / 1000 + 1);
  expect(busy.messages.filter((message) => message === undefined)).toHaveLength(1);
  retry();
  expect(busy.messages.filter((message) => message === undefined)).toHaveLength(1);
  // Keys that were written since then are covered by a second message.
  expect(busy.process().at(-1)).toBe('all');
  retry();
  expect(busy.process()).toEqual(['all']);
  expect(retries).toHaveLength(0);
  invalidate('a');
  await tick();
  expect([busy.process(), idle.process()]).toEqual([[['a']], [['a']]]);
});

it('replaces the keys of one tick if they are too many', async () => {
  const thread = new Thread(0);
  for (let i = 0; i < 20; i++) invalidate('k'.repeat(60_000));
  await tick();
  expect(thread.process()).toEqual(['all']);
});
