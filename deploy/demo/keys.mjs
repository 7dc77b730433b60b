/**
 * What the demonstrations (`make start` without a Redis, `docker compose up`) put into their own Redis: one key for
 * each kind of answer. Values are bytes or text, an array becomes a list.
 *
 * `short-lived` lives for an hour: long enough to be there whenever somebody looks, and it has an expiry to shorten
 * (`redis-cli expire short-lived 20`), which then shows that the cache keeps no entry longer than Redis keeps the key.
 */
export const demoKeys = [
  { key: 'greeting', value: 'hello from redis' },
  { key: 'user:42', value: JSON.stringify({ id: 42, name: 'Ada Lovelace', languages: ['en', 'fr'] }) },
  { key: 'empty', value: '' },
  { key: 'binary', value: Uint8Array.from({ length: 256 }, (_, byte) => byte) },
  { key: 'café/menu', value: 'crème brûlée, 7 €' },
  { key: 'queue', value: ['first', 'second'] },
  { key: 'short-lived', value: 'gone within the hour', expirySeconds: 3600 },
];

/**
 * Writes the demo keys, all or none; an older value of theirs is replaced.
 * @param {import('ioredis').Redis} redis a connection to a Redis that is there for demonstration
 */
export async function seedDemoKeys(redis) {
  const transaction = redis.multi();
  for (const { key, value, expirySeconds } of demoKeys) {
    transaction.del(key);
    if (Array.isArray(value)) transaction.rpush(key, ...value);
    else transaction.set(key, Buffer.from(value));
    if (expirySeconds !== undefined) transaction.expire(key, expirySeconds);
  }
  const answers = await transaction.exec();
  for (const [error] of answers ?? [[new Error('the transaction was aborted')]]) {
    if (error) throw error;
  }
}
