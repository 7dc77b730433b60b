import { COMMAND_TIMEOUT_MS, type FaultScenario, itRecoversFrom } from '../support/faults.ts';
import { describeOwn } from '../support/only-own.ts';

const remove = ({ relay }: FaultScenario): void => {
  relay.tamper = undefined;
};

const INVALID_REPLIES = [
  ['another protocol', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
  ['random bytes', '\0\u00ff\u0001$\u0002\r\n'.repeat(100)],
  ['an unsolicited reply before each reply', ':7\r\n'],
] as const;

describeOwn('cached keys are served, and misses get correct responses, while a connection to Redis', () => {
  itRecoversFrom('is reset in the middle of each reply', {
    inject: ({ relay }) => {
      relay.tamper = (part, client) =>
        void client.write(part.subarray(0, part.length / 2), () => client.resetAndDestroy());
    },
    // The first of several replies in one segment is complete.
    misses: ['503 redis-unavailable', '200'],
    remove,
    log: /^Redis is not reachable \(\w+\)$/,
  });

  itRecoversFrom('stalls after half a reply, like all other open connections', {
    inject: ({ relay }) => {
      relay.tamper = (part, client) => {
        client.write(part.subarray(0, part.length / 2));
        relay.silence();
      };
    },
    misses: ['504 redis-timeout', '503 redis-unavailable', '200'],
    // The stalled connections never recover; the proxy must open new ones.
    remove,
    recoveryMs: 2 * COMMAND_TIMEOUT_MS + 4_000,
  });

  itRecoversFrom('stalls without being closed', {
    inject: ({ relay }) => relay.silence(),
    misses: ['504 redis-timeout', '503 redis-unavailable', '200'],
    remove: () => undefined,
    recoveryMs: 4_000,
  });

  for (const [what, garbage] of INVALID_REPLIES) {
    itRecoversFrom(`delivers ${what}`, {
      inject: ({ relay }) => {
        relay.tamper = (part, client) => void client.write(Buffer.concat([Buffer.from(garbage, 'latin1'), part]));
      },
      misses: ['503 redis-unavailable', '504 redis-timeout'],
      remove,
      log: /^Redis is not reachable \(\w+\)$/,
    });
  }
});
