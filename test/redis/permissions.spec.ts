import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { QUERY_COMMANDS } from '../../src/redis-commands/query-commands.ts';
import { TestRedis } from '../support/redis.ts';

const page = readFileSync(new URL('../../docs/redis.md', import.meta.url), 'utf8');
/** Of the table of required permissions. */
const permissions = [...page.matchAll(/^\| [^|]* \| `(\+[^`]*)` \|$/gm)].flatMap(([, all]) =>
  all.replaceAll('\\|', '|').split(' '),
);

it('docs/redis.md lists the permission for each command whose replies are cached', () => {
  expect(permissions).toEqual(expect.arrayContaining(QUERY_COMMANDS.map(({ name }) => `+${name}`)));
});

it('the permissions in docs/redis.md exist and permit no command that writes', async () => {
  const redis = await TestRedis.start();
  try {
    // The server of the test has no JSON module and is not a sentinel.
    const known = permissions.filter(
      (permission) => permission.startsWith('+') && !/^\+(?:json\.|sentinel\|)/.test(permission),
    );
    expect(await redis.client.call('ACL', 'SETUSER', 'proxy', 'on', '~*', ...known)).toBe('OK');
    expect(await redis.client.call('ACL', 'DRYRUN', 'proxy', 'HGETALL', 'key')).toBe('OK');
    for (const [command, ...args] of [
      ['SET', 'key', 'v'],
      ['DEL', 'key'],
      ['HSET', 'key', 'f', 'v'],
      ['KEYS', '*'],
    ]) {
      expect(await redis.client.call('ACL', 'DRYRUN', 'proxy', command, ...args)).toMatch(/no permissions to run/);
    }
  } finally {
    await redis.stop();
  }
});
