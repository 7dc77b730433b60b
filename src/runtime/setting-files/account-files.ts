import { parseRedisUrl } from '../../config/redis/redis-url.ts';
import { Secret, secretIn } from '../../config/secret.ts';
import type { AccountFiles, NamedFile, Settings } from '../../config/settings.ts';
import { isSameLogin, loginIn, previousOf } from '../../redis/redis-logins.ts';
import { type FileContent, type SettingFile, readSettingFile } from './setting-file.ts';

/** What files have of an account; null: nothing. */
interface FileAccount {
  readonly username: string | null;
  readonly password: string | null;
  /** The address, if it is another one than at the start. */
  readonly address: string | null;
}

const NOTHING: FileAccount = { username: null, password: null, address: null };

/** Returns the files of the accounts for Redis and for its sentinels. The files of one account are used together. */
export function accountFiles({ redis }: Settings): SettingFile[] {
  const { sentinel } = redis;
  return [
    ...accountFile(redis, redis.accountFiles, redis, (current, account) => ({ ...current, ...account })),
    ...accountFile(redis, sentinel.accountFiles, sentinel, (current, account) => ({
      ...current,
      sentinel: Object.freeze({ ...current.sentinel, ...account }),
    })),
  ];
}

type Redis = Settings['redis'];
type Account = Pick<Redis, 'username' | 'password'>;

function accountFile(
  redis: Redis,
  files: AccountFiles,
  { username, password }: Account,
  withAccount: (current: Redis, account: Partial<Account>) => Redis,
): SettingFile[] {
  const named = [files.username, files.password].filter((file) => file !== undefined);
  const distinct = named.filter(({ setting }, at) => at === 0 || setting !== named[0].setting);
  if (distinct.length === 0) return [];
  const initial: FileAccount = {
    username: files.username === undefined ? null : (username ?? null),
    password: files.password === undefined ? null : (password?.reveal() ?? null),
    address: null,
  };
  const file: SettingFile = {
    name: distinct.map(({ setting }) => setting).join(', '),
    what: 'account',
    severity: 'warn',
    initial: JSON.stringify(initial),
    read: () => readAccount(redis, files, distinct),
    describe: difference,
    apply: (settings, content) => {
      const found = JSON.parse(content) as FileAccount;
      const changed = withAccount(settings.redis, {
        ...(files.username === undefined ? {} : { username: found.username ?? undefined }),
        ...(files.password === undefined
          ? {}
          : { password: found.password === null ? undefined : new Secret(found.password) }),
      });
      const [before, now] = [loginIn(settings.redis), loginIn(changed)];
      if (isSameLogin(before, now)) return settings;
      const previousLogin = previousOf(before, now, settings.redis.previousLogin);
      return Object.freeze({ ...settings, redis: Object.freeze({ ...changed, previousLogin }) });
    },
  };
  return [file];
}

async function readAccount(redis: Redis, files: AccountFiles, distinct: readonly NamedFile[]): Promise<FileContent> {
  const contents = await Promise.all(distinct.map(({ path }) => readSettingFile(path)));
  let account = NOTHING;
  for (const [at, { setting }] of distinct.entries()) {
    const content = contents[at];
    const part = 'problem' in content ? content : partIn(secretIn(content.text), setting, redis);
    // The log line begins with the names of all files of the account.
    if ('problem' in part) return distinct.length === 1 ? part : { problem: `${setting} ${part.problem}` };
    account = {
      username: files.username?.setting === setting ? (part.username ?? null) : account.username,
      password: files.password?.setting === setting ? (part.password ?? null) : account.password,
      address: part.address ?? account.address,
    };
  }
  return { text: JSON.stringify(account) };
}

/** Returns what the content of the file of a setting says, or why it cannot be used. */
function partIn(text: string, setting: string, redis: Redis): Partial<FileAccount> | { readonly problem: string } {
  if (text === '') return { problem: 'is empty' };
  if (/[\r\n]/.test(text)) return { problem: 'contains more than one line' };
  if (setting !== 'REDIS_URL_FILE') return setting.includes('USERNAME') ? { username: text } : { password: text };
  const url = parseRedisUrl(text);
  if (url === undefined) return { problem: 'does not contain an address of Redis' };
  const { username, password, ...address } = url;
  const isSame = (Object.keys(address) as (keyof typeof address)[]).every((name) => address[name] === redis[name]);
  return { username, password, address: isSame ? null : JSON.stringify(address) };
}

/** Returns for the log which parts have changed, without any of them. */
function difference(before: string, after: string): string {
  const [old, now] = [JSON.parse(before) as FileAccount, JSON.parse(after) as FileAccount];
  const parts = [
    ...(old.username === now.username ? [] : ['another user']),
    ...(old.password === now.password ? [] : ['another password']),
    ...(old.address === now.address ? [] : ['another address, which needs a restart']),
  ];
  return parts.join(', ');
}
