import { Redis } from 'ioredis';
import { type Size, keyName, valueOf } from './store.ts';

const KEYS_AT_A_TIME = 500;

/** Reads each key once, pipelined, and fails on the first wrong value. */
export async function checkValues(port: number, size: Size, keys: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1', { enableReadyCheck: false, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    for (let first = 0; first < keys; first += KEYS_AT_A_TIME) {
      const numbers = Array.from({ length: Math.min(KEYS_AT_A_TIME, keys - first) }, (_, i) => first + i);
      const values = await Promise.all(numbers.map((number) => client.get(keyName(size, number))));
      const wrong = numbers.find((number, i) => values[i] !== valueOf(size, number));
      if (wrong !== undefined) throw new Error(`GET ${keyName(size, wrong)}: not the value of the key`);
    }
  } finally {
    client.disconnect();
  }
}
