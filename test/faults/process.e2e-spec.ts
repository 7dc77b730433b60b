import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { COMMAND_TIMEOUT_MS, type FaultScenario, itRecoversFrom } from '../support/faults.ts';

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];
const DEBUGGABLE = ['--enable-debug-command', 'yes'];
/** Slows down loading, during which Redis refuses commands: microseconds per key, and bytes between two checks for commands. */
const SLOW_LOADING = [...DEBUGGABLE, '--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024'];

const FILLING_KEYS = 5000;
/** All threads have to notice the fault and its end. */
const threads = 2;

/** Without the relay, which is part of this process: if it could not run, connections would be closed as silent ones. */
const url = ({ redis }: FaultScenario): string => redis.url;

async function kill({ redis }: FaultScenario): Promise<void> {
  await redis.server?.stop('SIGKILL');
}

async function restart(scenario: FaultScenario): Promise<void> {
  scenario.redis = await scenario.redis.restart();
}

describeOwn('cached keys are served, and misses get correct responses, while Redis', () => {
  itRecoversFrom('is killed and restarts with its data', {
    threads,
    redis: DURABLE,
    inject: kill,
    misses: ['503 redis-unavailable'],
    remove: restart,
    log: /^Redis is not reachable \(\w+\)$/,
  });

  itRecoversFrom('is killed and restarts empty', {
    threads,
    inject: kill,
    misses: ['503 redis-unavailable'],
    remove: restart,
    dataReturns: false,
  });

  itRecoversFrom('is suspended and resumed', {
    threads,
    url,
    inject: ({ redis }) => redis.server?.signal('SIGSTOP'),
    misses: ['504 redis-timeout', '503 redis-unavailable'],
    remove: ({ redis }) => redis.server?.signal('SIGCONT'),
    log: /^Redis circuit breaker opened \(timeout\)/,
  });

  itRecoversFrom('is blocked by DEBUG SLEEP', {
    threads,
    url,
    redis: DEBUGGABLE,
    inject: async ({ redis }) => {
      // Longer than all rounds of misses, each of which may wait for a probe, unless the machine is very busy.
      const sleeping = redis.client.call('DEBUG', 'SLEEP', '7');
      sleeping.catch(() => undefined);
      await new Promise(setImmediate);
    },
    misses: ['504 redis-timeout', '503 redis-unavailable', '200'],
    remove: ({ redis }) => redis.untilReady(),
  });

  itRecoversFrom('replies after the command timeout', {
    threads,
    inject: ({ relay }) => {
      // By so much that a thread does not receive a reply before it notices the time-out; shorter than a silence that ends connections.
      relay.delayMs = 4 * COMMAND_TIMEOUT_MS;
    },
    misses: ['504 redis-timeout', '503 redis-unavailable'],
    remove: ({ relay }) => (relay.delayMs = 0),
    log: /^Redis circuit breaker opened \(timeout\)/,
  });

  itRecoversFrom('replies slowly, but within the command timeout', {
    threads,
    inject: ({ relay }) => {
      relay.delayMs = 50;
    },
    misses: ['200'],
    remove: ({ relay }) => (relay.delayMs = 0),
  });

  itRecoversFrom('is loading its data and replies with LOADING', {
    threads,
    url,
    redis: SLOW_LOADING,
    inject: async ({ redis, proxy }) => {
      const filling = Array.from({ length: FILLING_KEYS }, (_, i) => [`filling-${i}`, 'x'.repeat(100)]);
      await redis.client.mset(filling.flat());
      // Reloads the data; open connections stay open.
      redis.client.call('DEBUG', 'RELOAD').catch(() => undefined);
      let requests = 0;
      await until('it is loading', async () => (await proxy.key(`nobody-${++requests}`)).status === 503 || undefined);
    },
    misses: ['503 redis-unavailable', '504 redis-timeout'],
    remove: async ({ redis }) => {
      const client = redis.client.duplicate({ enableReadyCheck: false });
      await client.config('SET', 'key-load-delay', '0');
      client.disconnect();
      await redis.untilReady();
    },
    log: /^Redis circuit breaker opened \(LOADING\)/,
  });
});
