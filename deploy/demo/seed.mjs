// Writes the demo keys into the Redis at REDIS_URL, once: `REDIS_URL=redis://redis:6379/0 node deploy/demo/seed.mjs`.
import { Redis } from 'ioredis';
import { demoKeys, seedDemoKeys } from './keys.mjs';

const url = process.env.REDIS_URL;
if (!url) {
  console.error('REDIS_URL: the Redis to write the demo keys into is missing, as redis://host:port/database');
  process.exit(1);
}

const redis = new Redis(url, { lazyConnect: true, connectTimeout: 5000, retryStrategy: () => null });
redis.on('error', () => {}); // the rejection below says it
try {
  await redis.connect();
  await seedDemoKeys(redis);
  console.log(`Demo keys written: ${demoKeys.map(({ key }) => key).join(', ')}`);
} catch (error) {
  console.error(`The demo keys could not be written: ${error.message}`);
  process.exitCode = 1;
} finally {
  redis.disconnect();
}
