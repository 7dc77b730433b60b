// Ends well when this machine has a redis-server, installing it if it may: the tests start their own from it.
import { ensureRedisServer } from './redis-server.mjs';

try {
  ensureRedisServer((message) => console.log(message));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
