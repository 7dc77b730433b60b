// Succeeds if this machine has a redis-server, which the tests start; installs it if permitted.
import { ensureRedisServer } from './redis-server.mjs';

try {
  ensureRedisServer((message) => console.log(message));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
