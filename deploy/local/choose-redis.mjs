import { seedDemoKeys } from '../demo/keys.mjs';
import { OwnRedis } from './own-redis.mjs';
import { connectTo } from './redis-connection.mjs';
import { ping } from './redis-ping.mjs';

/**
 * Chooses the Redis of `make start`: the one in the settings, else one at the default address, else a temporary one with the
 * demo keys.
 *
 * @param {{ choosesRedis: boolean }} settings
 * @param {string} defaultUrl
 * @param {() => string} program returns the path of redis-server; called only if it is needed
 * @param {(message: string) => void} say called with the choice and its reason
 * @param {number} [pingTimeoutMs] milliseconds to wait for the one at the default address
 * @returns the temporary Redis; undefined if an existing one is used
 */
export async function chooseRedis({ choosesRedis }, defaultUrl, program, say, pingTimeoutMs) {
  if (choosesRedis) {
    say('Redis: the one in the settings. Nothing is written to it.');
    return undefined;
  }
  const found = await ping(defaultUrl, pingTimeoutMs);
  if (found === 'pong') {
    say(`Redis: the one at ${defaultUrl}. Nothing is written to it.`);
    return undefined;
  }
  const redis = await OwnRedis.start(program());
  const connection = await connectTo(redis.url);
  await seedDemoKeys(connection);
  connection.disconnect();
  const started = `started a temporary one at ${redis.url}, with demo keys.`;
  if (found === 'absent') {
    say(`Redis: none at ${defaultUrl}; ${started}`);
  } else {
    say(`Redis: the one at ${defaultUrl} cannot be used (${found.problem}); ${started}`);
    if (/password/.test(found.problem)) say('To use the existing one: REDIS_PASSWORD=… make start');
  }
  return redis;
}
