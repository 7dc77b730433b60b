import { type Secret, areTokens, secretIn, tokensIn } from '../../config/secret.ts';
import type { Settings } from '../../config/settings.ts';
import { type FileContent, type SettingFile, readSettingFile } from './setting-file.ts';

/** Returns the token files of these settings. Their content is the tokens, separated by commas. */
export function tokenFiles({ access, admin }: Settings): SettingFile[] {
  return [
    ...tokenFile('ACCESS_TOKEN_FILE', access, (settings, tokens) => ({
      ...settings,
      access: Object.freeze({ ...settings.access, tokens }),
    })),
    ...tokenFile('ADMIN_TOKEN_FILE', admin, (settings, tokens) => ({
      ...settings,
      admin: Object.freeze({ ...settings.admin, tokens }),
    })),
  ];
}

function tokenFile(
  name: string,
  { tokens, tokenFile: path }: Settings['admin'],
  withTokens: (settings: Settings, tokens: readonly Secret[]) => Settings,
): SettingFile[] {
  if (path === undefined) return [];
  const file: SettingFile = {
    name,
    what: 'tokens',
    severity: 'warn',
    initial: tokens.map((token) => token.reveal()).join(','),
    read: () => readTokens(path),
    describe: difference,
    apply: (settings, content) => Object.freeze(withTokens(settings, Object.freeze(tokensIn(content)))),
  };
  return [file];
}

async function readTokens(path: string): Promise<FileContent> {
  const content = await readSettingFile(path);
  if ('problem' in content) return content;
  const text = secretIn(content.text);
  if (text === '') return { problem: 'is empty' };
  return areTokens(text)
    ? { text }
    : { problem: 'does not contain tokens of visible ASCII characters, separated by commas' };
}

/** Returns the numbers of tokens for the log, which must not contain any part of a token. */
function difference(before: string, after: string): string {
  const [old, now] = [new Set(before.split(',')), new Set(after.split(','))];
  const added = [...now].filter((token) => !old.has(token)).length;
  const removed = [...old].filter((token) => !now.has(token)).length;
  return `${now.size} ${now.size === 1 ? 'token' : 'tokens'} (${added} added, ${removed} removed)`;
}
