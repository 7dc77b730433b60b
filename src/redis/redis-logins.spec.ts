import { describe, expect, it } from '@jest/globals';
import { Secret } from '../config/secret.ts';
import { loadSettings } from '../config/load-settings.ts';
import type { RedisLogin, Settings } from '../config/settings.ts';
import {
  LoginChoice,
  type LoginOutcome,
  RedisLogins,
  isLoginRefusal,
  loginIn,
  loginOptions,
  loginRetryMs,
} from './redis-logins.ts';

const { redis } = loadSettings({ REDIS_URL: 'redis://ann:one@h' }, '/nowhere');

function withPasswords(password: string, sentinel?: string): Settings['redis'] {
  const sentinelPassword = sentinel === undefined ? undefined : new Secret(sentinel);
  return { ...redis, password: new Secret(password), sentinel: { ...redis.sentinel, password: sentinelPassword } };
}

const passwordsOf = ({ password, sentinelPassword }: RedisLogin) => [password?.reveal(), sentinelPassword?.reveal()];

describe('RedisLogins', () => {
  it('report a change once, and none if the credentials are the same', () => {
    const logins = new RedisLogins(redis);
    let changes = 0;
    const end = logins.onChange(() => changes++);
    logins.use(withPasswords('one'));
    expect([changes, logins.previous]).toEqual([0, undefined]);
    logins.use(withPasswords('two'));
    logins.use(withPasswords('two'));
    expect(changes).toBe(1);
    expect([logins.current, logins.previous].map((login) => login?.password?.reveal())).toEqual(['two', 'one']);
    end();
    logins.use(withPasswords('three'));
    expect(changes).toBe(1);
  });

  it('have those before the last change of each account as the previous ones', () => {
    const logins = new RedisLogins(withPasswords('one', 'a'));
    logins.use(withPasswords('two', 'a'));
    logins.use(withPasswords('two', 'b'));
    expect(passwordsOf(logins.previous ?? logins.current)).toEqual(['one', 'a']);
    logins.use(withPasswords('three', 'b'));
    expect(passwordsOf(logins.previous ?? logins.current)).toEqual(['two', 'a']);
  });

  it('may change only if they come from files', () => {
    expect(new RedisLogins(redis).mayChange).toBe(false);
    const passwordFile = { setting: 'REDIS_PASSWORD_FILE', path: '/p' };
    const files = { username: undefined, password: passwordFile };
    expect(new RedisLogins({ ...redis, accountFiles: files }).mayChange).toBe(true);
    const sentinel = { ...redis.sentinel, accountFiles: files };
    expect(new RedisLogins({ ...redis, sentinel }).mayChange).toBe(true);
  });

  it('become options of ioredis, also those that are undefined: they replace former ones', () => {
    expect(loginOptions(loginIn(redis))).toEqual({
      ...{ username: 'ann', password: 'one' },
      ...{ sentinelUsername: undefined, sentinelPassword: undefined },
    });
  });
});

describe('LoginChoice', () => {
  it('tries the present credentials first, and in turn with the previous ones while they are refused', () => {
    const logins = new RedisLogins(redis);
    const choice = new LoginChoice(logins);
    const outcomes: LoginOutcome[] = [];
    logins.watch((outcome) => outcomes.push(outcome));
    logins.use(withPasswords('two'));
    const tried: unknown[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      tried.push(choice.login.password?.reveal());
      choice.fail(choice.login, 'WRONGPASS');
      choice.fail(choice.login, 'ECONNREFUSED');
    }
    expect(tried).toEqual(['two', 'one', 'two', 'one']);
    expect(outcomes).toEqual(Array(4).fill({ kind: 'refused', reason: 'WRONGPASS', isConnected: false }));
    choice.fail(choice.login, 'WRONGPASS');
    logins.use(withPasswords('three'));
    expect(choice.login.password?.reveal()).toBe('three');
  });

  it('takes a refusal of former credentials as a reason to try the present ones', () => {
    const logins = new RedisLogins(redis);
    const choice = new LoginChoice(logins);
    const { login } = choice;
    logins.use(withPasswords('two'));
    choice.fail(login, 'NOAUTH');
    expect(choice.login.password?.reveal()).toBe('two');
  });

  it('chooses the accounts of Redis and of the sentinels apart', () => {
    const logins = new RedisLogins(withPasswords('one', 'a'));
    const choice = new LoginChoice(logins);
    logins.use(withPasswords('two', 'b'));
    choice.fail(choice.login, 'sentinels: WRONGPASS');
    expect(passwordsOf(choice.login)).toEqual(['two', 'a']);
    choice.fail(choice.login, 'WRONGPASS');
    expect(passwordsOf(choice.login)).toEqual(['one', 'a']);
    choice.fail(choice.login, 'sentinels: NOAUTH');
    expect(passwordsOf(choice.login)).toEqual(['one', 'b']);
  });

  it.each(['WRONGPASS', 'NOAUTH', 'AUTH: ERR', 'sentinels: WRONGPASS', 'sentinels: NOAUTH'])(
    'takes %s as a refusal',
    (reason) => expect(isLoginRefusal(reason)).toBe(true),
  );
  it.each(['NOPERM', 'ECONNREFUSED', 'SELECT: NOAUTH', 'sentinels: ECONNREFUSED', 'connection', ''])(
    'does not take %j as a refusal',
    (reason) => expect(isLoginRefusal(reason)).toBe(false),
  );

  it('authenticates connections again after a second, and at most every half minute', () => {
    expect([1, 2, 3, 5, 6, 100].map(loginRetryMs)).toEqual([1000, 2000, 4000, 16_000, 30_000, 30_000]);
  });
});
