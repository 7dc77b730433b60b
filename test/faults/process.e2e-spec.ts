import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { COMMAND_TIMEOUT_MS, type Scene, itSurvives } from '../support/faults.ts';

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];
const DEBUGGABLE = ['--enable-debug-command', 'yes'];
/** Loading takes a while, in which commands are refused: microseconds for each key, and bytes after which to look for any. */
const SLOW_LOADING = [...DEBUGGABLE, '--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024'];

const FILLING_KEYS = 5000;

async function kill({ redis }: Scene): Promise<void> {
  await redis.server?.stop('SIGKILL');
}

async function restart(scene: Scene): Promise<void> {
  scene.redis = await scene.redis.restart();
}

describeOwn('keys in the cache are served, and nothing else is made up, while Redis', () => {
  itSurvives('is killed, and comes back with its data', {
    redis: DURABLE,
    strike: kill,
    misses: ['503 redis-unavailable'],
    heal: restart,
    log: /^Redis is not reachable \(\w+\)$/,
  });

  itSurvives('is killed, and comes back empty', {
    strike: kill,
    misses: ['503 redis-unavailable'],
    heal: restart,
    dataReturns: false,
  });

  itSurvives('is stopped, and goes on', {
    strike: ({ redis }) => redis.server?.signal('SIGSTOP'),
    misses: ['504 redis-timeout', '503 redis-unavailable'],
    heal: ({ redis }) => redis.server?.signal('SIGCONT'),
    log: /^the circuit to Redis is open, as it does not answer \(timeout\)/,
  });

  itSurvives('sleeps', {
    redis: DEBUGGABLE,
    strike: async ({ redis }) => {
      // Longer than all rounds of misses take, each of which may wait for a probe.
      const sleeping = redis.client.call('DEBUG', 'SLEEP', '4');
      sleeping.catch(() => undefined);
      await new Promise(setImmediate);
    },
    misses: ['504 redis-timeout', '503 redis-unavailable'],
    heal: ({ redis }) => redis.answers(),
  });

  itSurvives('is slower than it may be', {
    strike: ({ relay }) => {
      relay.lateMs = 1.5 * COMMAND_TIMEOUT_MS;
    },
    misses: ['504 redis-timeout', '503 redis-unavailable'],
    heal: ({ relay }) => (relay.lateMs = 0),
    log: /^the circuit to Redis is open, as it does not answer \(timeout\)/,
  });

  itSurvives('is slow, but in time', {
    strike: ({ relay }) => {
      relay.lateMs = 50;
    },
    misses: ['200'],
    heal: ({ relay }) => (relay.lateMs = 0),
  });

  itSurvives('is loading its data again, and says so', {
    redis: SLOW_LOADING,
    strike: async ({ redis, proxy }) => {
      const filling = Array.from({ length: FILLING_KEYS }, (_, i) => [`filling-${i}`, 'x'.repeat(100)]);
      await redis.client.mset(filling.flat());
      // Reads the data anew, while the connections that there are stay.
      redis.client.call('DEBUG', 'RELOAD').catch(() => undefined);
      let asked = 0;
      await until('it is loading', async () => (await proxy.key(`nobody-${++asked}`)).status === 503 || undefined);
    },
    misses: ['503 redis-unavailable', '504 redis-timeout'],
    heal: async ({ redis }) => {
      const client = redis.client.duplicate({ enableReadyCheck: false });
      await client.config('SET', 'key-load-delay', '0');
      client.disconnect();
      await redis.answers();
    },
    log: /^the circuit to Redis is open, as it does not answer \(LOADING\)/,
  });
});
