import { COMMAND_TIMEOUT_MS, type Scene, itSurvives } from '../support/faults.ts';
import { describeOwn } from '../support/only-own.ts';

const heal = ({ relay }: Scene): void => {
  relay.tamper = undefined;
};

const GARBAGE = [
  ['another protocol', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
  ['bytes of any kind', '\0\u00ff\u0001$\u0002\r\n'.repeat(100)],
  ['one reply more than was asked for, before each', ':7\r\n'],
] as const;

describeOwn('keys in the cache are served, and nothing else is made up, while a connection to Redis', () => {
  itSurvives('is reset in the middle of each reply', {
    strike: ({ relay }) => {
      relay.tamper = (part, client) =>
        void client.write(part.subarray(0, part.length / 2), () => client.resetAndDestroy());
    },
    // Of replies that came together the first ones are whole.
    misses: ['503 redis-unavailable', '200'],
    heal,
    log: /^Redis is not reachable \(\w+\)$/,
  });

  itSurvives('brings half a reply, and then nothing, as do others', {
    strike: ({ relay }) => {
      relay.tamper = (part, client) => {
        client.write(part.subarray(0, part.length / 2));
        relay.silence();
      };
    },
    misses: ['504 redis-timeout', '503 redis-unavailable', '200'],
    // The connections that went silent stay so: it takes new ones.
    heal,
    backMs: 2 * COMMAND_TIMEOUT_MS + 5_000,
  });

  itSurvives('goes dead without a word', {
    strike: ({ relay }) => relay.silence(),
    misses: ['504 redis-timeout', '503 redis-unavailable', '200'],
    heal: () => undefined,
    backMs: 5_000,
  });

  for (const [what, garbage] of GARBAGE) {
    itSurvives(`says ${what}`, {
      strike: ({ relay }) => {
        relay.tamper = (part, client) => void client.write(Buffer.concat([Buffer.from(garbage, 'latin1'), part]));
      },
      misses: ['503 redis-unavailable', '504 redis-timeout'],
      heal,
      log: /^Redis is not reachable \(\w+\)$/,
    });
  }
});
