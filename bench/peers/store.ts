import { Redis } from 'ioredis';
import { freePort } from '../../test/support/processes.ts';
import type { Server, Workbench } from './workbench.ts';

/** Number of keys with values of 100 B, from `key:000000000000` on, named as redis-benchmark names them. */
export const SMALL_KEYS = 500_000;
/** Number of keys with values of 10 KiB, from `big:000000000000` on. */
export const LARGE_KEYS = 1000;
/** Number of hashes with 20 fields, from `hash:000000000000` on. */
export const HASHES = 1000;
const FIELDS = 20;
const KEYS_PER_COMMAND = 500;

export type Size = 'small' | 'large';

const PREFIXES = { small: 'key', large: 'big', hash: 'hash' } as const;

export function keyName(kind: keyof typeof PREFIXES, number: number): string {
  return `${PREFIXES[kind]}:${String(number).padStart(12, '0')}`;
}

/** Returns the fields of a hash, with values of 20 B. */
export function fieldsOf(number: number): Record<string, string> {
  const names = Array.from({ length: FIELDS }, (_, i) => `field-${String(i).padStart(2, '0')}`);
  return Object.fromEntries(names.map((name) => [name, `${number} of ${name}`.padEnd(20, '.')]));
}

/** Returns a text of 100 B or 10 KiB, different for each key. */
export function valueOf(size: Size, number: number): string {
  return `value ${number} `.padEnd(size === 'small' ? 100 : 10_240, 'abcdefghijklmnopqrstuvwxyz0123456789');
}

/** The redis-server behind all contestants, on their core, with all keys. */
export class Store {
  readonly port: number;
  readonly server: Server;
  readonly #client: Redis;

  private constructor(port: number, server: Server) {
    this.port = port;
    this.server = server;
    this.#client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
    this.#client.on('error', () => undefined);
  }

  static async start(bench: Workbench): Promise<Store> {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', bench.folder('redis')];
    const store = new Store(port, bench.launch('redis-server', args));
    await store.server.ready(async () => void (await store.#client.ping()));
    await store.#fill('large', LARGE_KEYS);
    await store.#fill('small', SMALL_KEYS);
    await store.#fillHashes();
    return store;
  }

  /** Returns the number of GET, MGET and HGETALL commands so far. */
  async reads(): Promise<number> {
    const stats = await this.#client.info('commandstats');
    const calls = ['get', 'mget', 'hgetall'].map(
      (name) => new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(stats)?.[1],
    );
    return calls.reduce((sum, count) => sum + Number(count ?? 0), 0);
  }

  async stop(): Promise<void> {
    this.#client.disconnect();
    await this.server.stop();
  }

  async #fillHashes(): Promise<void> {
    const numbers = Array.from({ length: HASHES }, (_, i) => i);
    await Promise.all(numbers.map((number) => this.#client.hset(keyName('hash', number), fieldsOf(number))));
  }

  async #fill(size: Size, keys: number): Promise<void> {
    for (let first = 0; first < keys; first += KEYS_PER_COMMAND) {
      const numbers = Array.from({ length: Math.min(KEYS_PER_COMMAND, keys - first) }, (_, i) => first + i);
      await this.#client.mset(numbers.flatMap((number) => [keyName(size, number), valueOf(size, number)]));
    }
  }
}
