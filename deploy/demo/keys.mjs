/**
 * What the demonstrations (`make start` without a Redis, `docker compose up`) put into their own Redis: one key for
 * each kind of answer. Values are bytes or text, an array becomes a list, an object a hash, a Set a set, a Map of scores a
 * sorted set; `json` is a document for the JSON module, and left out if Redis does not have it.
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
  { key: 'product:7', value: { name: 'Analytical Engine', price: '1837' } },
  { key: 'tags', value: new Set(['analog', 'brass']) },
  {
    key: 'leaderboard',
    value: new Map([
      ['ada', 120],
      ['charles', 87.5],
      ['grace', 132],
    ]),
  },
  { key: 'profile:42', json: { name: 'Ada Lovelace', languages: ['en', 'fr'] } },
  { key: 'short-lived', value: 'gone within the hour', expirySeconds: 3600 },
];

/**
 * Writes the demo keys, all or none; an older value of theirs is replaced.
 * @param {import('ioredis').Redis} redis a connection to a Redis that is there for demonstration
 */
export async function seedDemoKeys(redis) {
  const [jsonSet] = await redis.command('INFO', 'JSON.SET');
  const transaction = redis.multi();
  for (const demoKey of demoKeys) {
    const { key, expirySeconds } = demoKey;
    if ('json' in demoKey && !jsonSet) continue;
    transaction.del(key);
    write(transaction, demoKey);
    if (expirySeconds !== undefined) transaction.expire(key, expirySeconds);
  }
  const answers = await transaction.exec();
  for (const [error] of answers ?? [[new Error('the transaction was aborted')]]) {
    if (error) throw error;
  }
}

function write(transaction, { key, value, json }) {
  if (json !== undefined) transaction.call('JSON.SET', key, '$', JSON.stringify(json));
  else if (Array.isArray(value)) transaction.rpush(key, ...value);
  else if (value instanceof Set) transaction.sadd(key, ...value);
  else if (value instanceof Map) transaction.zadd(key, ...[...value].flatMap(([member, score]) => [score, member]));
  else if (typeof value === 'string' || ArrayBuffer.isView(value)) transaction.set(key, Buffer.from(value));
  else transaction.hset(key, value);
}
