import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { loadSettings } from '../../config/load-settings.ts';
import { packSettings, unpackSettings } from '../../config/settings-transfer.ts';
import type { Settings } from '../../config/settings.ts';
import { SettingFiles } from './setting-files.ts';

let directory: string;
let log: string[];
let used: Settings[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'accounts-'));
  log = [];
  used = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const write = (name: string, text: string): void => writeFileSync(at(name), text);

function watched(environment: Record<string, string>): SettingFiles {
  const note =
    (level: string) =>
    (text: string): number =>
      log.push(`${level}: ${text}`);
  const logger = { log: note('log'), warn: note('warn'), error: note('error') };
  return new SettingFiles(loadSettings(environment, at('none')), (settings) => used.push(settings), logger);
}

async function pollTwice(files: SettingFiles): Promise<void> {
  await files.poll();
  await files.poll();
}

type Account = Pick<Settings['redis'], 'username' | 'password'> | undefined;
const shown = (account: Account) => [account?.username, account?.password?.reveal()];
/** The account of the latest settings, and the one before it. */
const latest = () => {
  const { redis } = used.at(-1) as Settings;
  return { account: shown(redis), before: shown(redis.previousLogin) };
};

describe('the files of an account', () => {
  it('are used together, once both have been found twice, and reach other threads with the account before', async () => {
    write('user', 'ann\n');
    write('password', 'one');
    const files = watched({ REDIS_USERNAME_FILE: at('user'), REDIS_PASSWORD_FILE: at('password') });
    write('password', 'two\n');
    await files.poll();
    write('user', 'ben');
    await files.poll();
    expect(used).toEqual([]);
    await files.poll();
    expect(used).toHaveLength(1);
    expect(latest()).toEqual({ account: ['ben', 'two'], before: ['ann', 'one'] });
    expect(log).toEqual(['log: REDIS_USERNAME_FILE, REDIS_PASSWORD_FILE reloaded: another user, another password']);
    const moved = unpackSettings(packSettings(used[0]));
    expect([shown(moved.redis), shown(moved.redis.previousLogin)]).toEqual([['ben', 'two'], ['ann', 'one']]); // prettier-ignore
    expect(`${JSON.stringify(used)}${inspect(used, { depth: 9, showHidden: true })}`).not.toMatch(/'(?:one|two)'|"two/);
  });

  it('leave a user name of REDIS_USERNAME, or of REDIS_URL, as it is', async () => {
    const accounts: Record<string, string>[] = [{ REDIS_USERNAME: 'ann' }, { REDIS_URL: 'redis://ann:other@h' }];
    for (const account of accounts) {
      write('password', 'one');
      const files = watched({ ...account, REDIS_PASSWORD_FILE: at('password') });
      write('password', 'two');
      await pollTwice(files);
      expect(latest()).toEqual({ account: ['ann', 'two'], before: ['ann', 'one'] });
    }
  });

  it('may be that of REDIS_URL, whose address is not changed', async () => {
    write('url', 'redis://ann:one@h:1/2');
    const files = watched({ REDIS_URL_FILE: at('url') });
    await pollTwice(files);
    expect(used).toEqual([]);
    write('url', 'redis://ann:two@h:1/2\n');
    await pollTwice(files);
    expect(latest()).toEqual({ account: ['ann', 'two'], before: ['ann', 'one'] });
    write('url', 'redis://other:6379/2');
    await pollTwice(files);
    expect(latest()).toEqual({ account: [undefined, undefined], before: ['ann', 'two'] });
    expect(used.at(-1)?.redis.host).toBe('h');
    expect(log).toEqual([
      'log: REDIS_URL_FILE reloaded: another password',
      'log: REDIS_URL_FILE reloaded: another user, another password, another address, which needs a restart',
    ]);
  });

  it('of the sentinels are apart from that of Redis', async () => {
    write('password', 'one');
    write('sentinel', 'three');
    const files = watched({
      ...{ REDIS_MODE: 'sentinel', REDIS_NODES: 's:1', REDIS_SENTINEL_NAME: 'main' },
      ...{ REDIS_PASSWORD_FILE: at('password'), REDIS_SENTINEL_PASSWORD_FILE: at('sentinel') },
    });
    write('sentinel', 'four');
    await pollTwice(files);
    const [{ redis }] = used;
    expect([redis.password, redis.sentinel.password].map((each) => each?.reveal())).toEqual(['one', 'four']);
    expect(redis.previousLogin?.sentinelPassword?.reveal()).toBe('three');
    expect(log).toEqual(['log: REDIS_SENTINEL_PASSWORD_FILE reloaded: another password']);
    write('password', 'two');
    write('sentinel', 'five');
    await pollTwice(files);
    // A thread that is restarted falls back to both.
    const { previousLogin } = used[1].redis;
    expect([previousLogin?.password, previousLogin?.sentinelPassword].map((each) => each?.reveal())).toEqual(['one', 'four']); // prettier-ignore
  });

  it.each([
    ['password', '\n', 'REDIS_PASSWORD_FILE is empty'],
    ['user', 'a\nb', 'REDIS_USERNAME_FILE contains more than one line'],
  ])('with invalid content leave the account unchanged, which is logged once: %s %j', async (name, text, problem) => {
    write('user', 'ann');
    write('password', 'one');
    const files = watched({ REDIS_USERNAME_FILE: at('user'), REDIS_PASSWORD_FILE: at('password') });
    write(name, text);
    await pollTwice(files);
    await pollTwice(files);
    expect(used).toEqual([]);
    const names = 'REDIS_USERNAME_FILE, REDIS_PASSWORD_FILE';
    expect(log).toEqual([`warn: ${names}: ${problem}; keeping the previously loaded account`]);
  });

  it('of REDIS_URL that contains no address leaves the account unchanged', async () => {
    write('url', 'redis://ann:one@h');
    const files = watched({ REDIS_URL_FILE: at('url') });
    write('url', 'http://ann:two@h');
    await pollTwice(files);
    expect([used, log]).toEqual([
      [],
      ['warn: REDIS_URL_FILE: does not contain an address of Redis; keeping the previously loaded account'],
    ]);
  });

  it('are polled soon on request, once for many requests, and used without another one', async () => {
    write('password', 'one');
    const files = watched({ REDIS_PASSWORD_FILE: at('password') });
    write('password', 'two');
    for (let i = 0; i < 1000; i++) files.request();
    await until('it is used', () => (used.length > 0 ? true : undefined));
    expect(latest().account).toEqual([undefined, 'two']);
    expect(log).toHaveLength(1);
  });
});
