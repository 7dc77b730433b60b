import { isDeepStrictEqual } from 'node:util';
import { Redis } from 'ioredis';
import { type Size, fieldsOf, keyName, valueOf } from './store.ts';

const KEYS_AT_A_TIME = 500;

/** Reads each key once, pipelined, and fails on the first wrong value. */
export async function checkValues(port: number, of: Size | 'hash', keys: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1', { enableReadyCheck: false, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    for (let first = 0; first < keys; first += KEYS_AT_A_TIME) {
      const numbers = Array.from({ length: Math.min(KEYS_AT_A_TIME, keys - first) }, (_, i) => first + i);
      const same = await Promise.all(numbers.map((number) => isSame(client, of, number)));
      const wrong = same.indexOf(false);
      if (wrong >= 0) throw new Error(`${keyName(of, numbers[wrong])}: not what the key holds`);
    }
  } finally {
    client.disconnect();
  }
}

async function isSame(client: Redis, of: Size | 'hash', number: number): Promise<boolean> {
  const key = keyName(of, number);
  return of === 'hash'
    ? isDeepStrictEqual({ ...(await client.hgetall(key)) }, fieldsOf(number))
    : (await client.get(key)) === valueOf(of, number);
}
