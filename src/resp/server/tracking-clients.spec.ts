import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Access } from '../../access/access.ts';
import { ClientTrackingCounts } from '../../instance/counts/client-tracking-counts.ts';
import type { CoherenceMode } from '../../instance/coherence-state.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { packKeys } from '../../instance/packed-keys.ts';
import type { Client } from './client.ts';
import { TrackingClients } from './tracking-clients.ts';

const GET = { flags: ['readonly'], keys: [1, 1, 1] } as const;
const OPTIONS = { broadcast: false, optIn: false, optOut: false, noLoop: false };

let now: number;
let trustedUntil: number;
let mode: CoherenceMode;
let configured: 'ttl' | 'tracking';
let counts: ClientTrackingCounts;
let clients: TrackingClients;
let warnings: string[];

beforeEach(() => {
  jest.useFakeTimers();
  now = 1000;
  trustedUntil = 1750;
  mode = 'tracking';
  configured = 'tracking';
  warnings = [];
  counts = new ClientTrackingCounts(InstanceMemory.create(), 3);
  clients = new TrackingClients({
    lru: {
      get trustedUntil() {
        return trustedUntil;
      },
    },
    clock: () => now,
    coherence: {
      get current() {
        return mode;
      },
    },
    access: new Access({ tokens: [], keyPatterns: 'public:*' }),
    counts,
    settings: {
      get coherence() {
        return configured;
      },
    },
    warn: (message) => warnings.push(message),
  });
});
afterEach(() => void jest.useRealTimers());

function advance(ms: number): void {
  for (let passed = 0; passed < ms; passed += 10) {
    now += 10;
    jest.advanceTimersByTime(10);
  }
}

/** A client, and the messages that it received: keys, or `all`. */
function connect(): { readonly client: Client; readonly messages: (string[] | 'all')[] } {
  const messages: (string[] | 'all')[] = [];
  const invalidate: Client['invalidate'] = (keys) => messages.push(keys?.map((key) => key.toString()) ?? 'all');
  return { client: { tracking: undefined, address: '127.0.0.1:1', invalidate } as unknown as Client, messages };
}

const pack = (...keys: string[]): Uint8Array => packKeys(keys.map((key) => Buffer.from(key)));

describe('invalidations', () => {
  it('reach the clients that have read the key, or track it by a prefix', () => {
    const [reader, broadcast, other] = [connect(), connect(), connect()];
    clients.start(reader.client, OPTIONS).note(GET, [Buffer.from('public:a')]);
    clients.start(broadcast.client, { ...OPTIONS, broadcast: true }).addPrefixes([Buffer.from('public:')]);
    clients.start(other.client, OPTIONS);
    clients.invalidate(pack('public:a', 'public:b'));
    expect([reader, broadcast, other].map(({ messages }) => messages)).toEqual([
      [['public:a']],
      [['public:a', 'public:b']],
      [],
    ]);
  });

  it('never name a key that clients may not read', () => {
    const { client, messages } = connect();
    clients.start(client, { ...OPTIONS, broadcast: true }).addPrefixes([Buffer.alloc(0)]);
    clients.invalidate(pack('secret:a', 'public:a', 'secret'));
    clients.invalidate(pack('secret:b'));
    expect(messages).toEqual([['public:a']]);
  });

  it('of everything reach all clients, which then track no key', () => {
    const { client, messages } = connect();
    clients.start(client, OPTIONS).note(GET, [Buffer.from('public:a')]);
    clients.invalidate(undefined);
    clients.invalidate(pack('public:a'));
    expect(messages).toEqual(['all']);
  });

  it('are counted as processed, with or without clients', () => {
    const packed = pack('public:a');
    clients.invalidate(packed);
    clients.invalidate(undefined);
    expect(counts.processed).toBe(packed.length + 1);
  });

  it('do not reach a client that has stopped to track, and clients are counted', () => {
    const { client, messages } = connect();
    clients.start(client, OPTIONS);
    clients.start(client, OPTIONS);
    expect(counts.clients).toBe(1);
    clients.stop(client);
    clients.stop(client);
    clients.invalidate(undefined);
    expect([messages, counts.clients, client.tracking]).toEqual([[], 0, undefined]);
  });
});

describe('when the main thread no longer confirms that all writes were received', () => {
  it('everything is invalidated once, at the end of the bound', () => {
    const { client, messages } = connect();
    clients.start(client, OPTIONS);
    advance(700);
    expect([messages, clients.isCurrent]).toEqual([[], true]);
    advance(100);
    expect([messages, clients.isCurrent]).toEqual([['all'], false]);
    advance(10_000);
    expect(messages).toEqual(['all']);
    trustedUntil = now + 750;
    advance(800);
    expect(messages).toEqual(['all', 'all']);
  });

  it('nothing happens while it does', () => {
    const { client, messages } = connect();
    clients.start(client, OPTIONS);
    for (let i = 0; i < 20; i++) {
      advance(250);
      trustedUntil = now + 500;
    }
    expect(messages).toEqual([]);
    clients.stop(client);
    expect(jest.getTimerCount()).toBe(0);
  });
});

it.each([
  ['ttl', 'ttl', /^ERR CLIENT TRACKING is not available: .*set CACHE_COHERENCE=tracking$/],
  ['tracking', 'resync', /^ERR CLIENT TRACKING is not available now: .*try again$/],
  ['tracking', 'ttl', /^ERR CLIENT TRACKING is not available: Redis rejects it/],
] as const)(
  'with CACHE_COHERENCE=%s, in the state %s, clients are refused with the reason',
  (setting, state, reason) => {
    expect(clients.refusal).toBeUndefined();
    configured = setting;
    mode = state;
    expect(clients.refusal).toMatch(reason);
    expect(clients.isCurrent).toBe(false);
  },
);

it('a disconnected client is logged and counted', () => {
  clients.noteUnread(connect().client);
  expect([warnings, counts.disconnections]).toEqual([[expect.stringMatching(/^client 127\.0\.0\.1:1 /)], 1]);
});
