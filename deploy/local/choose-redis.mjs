import { seedDemoKeys } from '../demo/keys.mjs';
import { OwnRedis } from './own-redis.mjs';
import { connectTo } from './redis-connection.mjs';
import { ping } from './redis-ping.mjs';

/**
 * Chooses the Redis of `make start`: the one that the settings name, else the one that answers at the default address,
 * else one of its own with the demo keys in it.
 *
 * @param {{ choosesRedis: boolean }} settings
 * @param {string} defaultUrl
 * @param {() => string} program the path of redis-server, asked for when it is needed
 * @param {(message: string) => void} say told which one it is, and why
 * @returns the own one, or undefined when it is another one, which stays as it is
 */
export async function chooseRedis({ choosesRedis }, defaultUrl, program, say) {
  if (choosesRedis) {
    say('Redis: the one that the settings name. Nothing is written to it.');
    return undefined;
  }
  const found = await ping(defaultUrl);
  if (found === 'pong') {
    say(`Redis: the one that answers at ${defaultUrl}. Nothing is written to it.`);
    return undefined;
  }
  const redis = await OwnRedis.start(program());
  const connection = await connectTo(redis.url);
  await seedDemoKeys(connection);
  connection.disconnect();
  const own = `an own one runs at ${redis.url}, with demo keys.`;
  if (found === 'absent') {
    say(`Redis: none answers at ${defaultUrl}, so ${own}`);
  } else {
    say(`Redis: the one at ${defaultUrl} cannot be used, ${found.problem}. So ${own}`);
    if (/password/.test(found.problem)) say('To use that one: REDIS_PASSWORD=… make start');
  }
  return redis;
}
