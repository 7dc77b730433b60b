import { COMMAND_TIMEOUT_MS, type FaultScenario, itRecoversFrom } from '../support/faults.ts';
import { describeOwn } from '../support/only-own.ts';

const remove = ({ relay }: FaultScenario): void => {
  relay.tamper = undefined;
};

const INVALID_REPLIES = [
  ['an unsolicited reply before each reply', '*1\r\n$1\r\na\r\n'],
  ['nulls before each reply', '$-1\r\n*-1\r\n$-1\r\n'],
  ['an array with an element of a type that RESP2 does not have', '*2\r\n#t\r\n'],
  ['an array of too many levels', '*1\r\n'.repeat(1000)],
] as const;

describeOwn('cached keys are served, and hashes get correct responses, while a connection to Redis', () => {
  itRecoversFrom('is reset in the middle of each reply', {
    hashes: true,
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
    hashes: true,
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

  for (const [what, garbage] of INVALID_REPLIES) {
    itRecoversFrom(`delivers ${what}`, {
      hashes: true,
      inject: ({ relay }) => {
        relay.tamper = (part, client) => void client.write(Buffer.concat([Buffer.from(garbage, 'latin1'), part]));
      },
      misses: ['503 redis-unavailable', '504 redis-timeout'],
      remove,
      log: /^Redis is not reachable \(\w+\)$/,
    });
  }

  itRecoversFrom('delivers each reply byte by byte', {
    hashes: true,
    inject: ({ relay }) => {
      relay.tamper = (part, client) => {
        for (const byte of part) client.write(Buffer.of(byte));
      };
    },
    misses: ['200'],
    remove,
  });
});
