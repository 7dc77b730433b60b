import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../config/load-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { SettingFiles } from './setting-files.ts';

let directory: string;
let log: string[];
let used: Settings[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  log = [];
  used = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);

function watched(environment: Record<string, string>): SettingFiles {
  const logger = {
    log: (text: string) => log.push(`log: ${text}`),
    warn: (text: string) => log.push(`warn: ${text}`),
    error: (text: string) => log.push(`error: ${text}`),
  };
  return new SettingFiles(loadSettings(environment, at('none')), (settings) => used.push(settings), logger);
}

const tokensOf = ({ access, admin }: Settings): string[][] =>
  [access.tokens, admin.tokens].map((tokens) => tokens.map((token) => token.reveal()));

async function lookTwice(files: SettingFiles): Promise<void> {
  await files.poll();
  await files.poll();
}

describe('the files of the tokens', () => {
  it('are looked at again, and what was found twice is used', async () => {
    writeFileSync(at('access'), 'old\n');
    const files = watched({ ACCESS_TOKEN_FILE: at('access'), ADMIN_TOKEN: 'admin' });
    await lookTwice(files);
    expect(used).toEqual([]);
    writeFileSync(at('access'), 'old,new\n');
    await files.poll();
    expect(used).toEqual([]);
    await files.poll();
    expect(used.map(tokensOf)).toEqual([[['old', 'new'], ['admin']]]);
    writeFileSync(at('access'), 'new');
    await lookTwice(files);
    await lookTwice(files);
    expect(used.map(tokensOf).slice(1)).toEqual([[['new'], ['admin']]]);
    expect(log).toEqual([
      'log: ACCESS_TOKEN_FILE reloaded: 2 tokens (1 added, 0 removed)',
      'log: ACCESS_TOKEN_FILE reloaded: 1 token (0 added, 1 removed)',
    ]);
  });

  it('may be half written: what is found once is not used', async () => {
    writeFileSync(at('access'), 'token');
    const files = watched({ ACCESS_TOKEN_FILE: at('access') });
    for (const part of ['', 'other-', 'other-token']) {
      writeFileSync(at('access'), part);
      await files.poll();
    }
    await files.poll();
    expect(used.map(tokensOf)).toEqual([[['other-token'], []]]);
    expect(log).toHaveLength(1);
  });

  it('are read through symbolic links, as in Kubernetes secrets', async () => {
    for (const [version, token] of Object.entries({ '..1': 'old', '..2': 'new' })) {
      mkdirSync(at(version));
      writeFileSync(join(at(version), 'admin'), token);
    }
    symlinkSync('..1', at('..data'));
    symlinkSync(join('..data', 'admin'), at('admin'));
    const files = watched({ ADMIN_TOKEN_FILE: at('admin'), ACCESS_TOKEN: 'reader' });
    symlinkSync('..2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    await lookTwice(files);
    expect(used.map(tokensOf)).toEqual([[['reader'], ['new']]]);
  });

  it.each([
    ['empty', '', 'is empty'],
    ['a newline', '\n', 'is empty'],
    ['no token', 'a b', 'does not contain tokens of visible ASCII characters, separated by commas'],
    ['an empty token', 'a,,b', 'does not contain tokens of visible ASCII characters, separated by commas'],
    ['too large', 'x'.repeat(1_100_000), 'is larger than 1048576 bytes'],
  ])('with invalid content leave the tokens unchanged, which is logged once: %s', async (_, content, problem) => {
    writeFileSync(at('access'), 'token');
    const files = watched({ ACCESS_TOKEN_FILE: at('access') });
    writeFileSync(at('access'), content);
    await lookTwice(files);
    await lookTwice(files);
    expect(used).toEqual([]);
    expect(log).toEqual([`warn: ACCESS_TOKEN_FILE: ${problem}; keeping the previously loaded tokens`]);
    writeFileSync(at('access'), 'token');
    await lookTwice(files);
    expect(log.slice(1)).toEqual(['log: ACCESS_TOKEN_FILE: usable again']);
    expect(used).toEqual([]);
  });

  it('that are gone leave the tokens as they were, and one file does not stand for the other', async () => {
    writeFileSync(at('access'), 'reader');
    writeFileSync(at('admin'), 'admin');
    const files = watched({ ACCESS_TOKEN_FILE: at('access'), ADMIN_TOKEN_FILE: at('admin') });
    rmSync(at('access'));
    writeFileSync(at('admin'), 'other');
    await lookTwice(files);
    expect(used.map(tokensOf)).toEqual([[['reader'], ['other']]]);
    // The files are read at the same time, so their log lines come in any order.
    expect(log).toContainEqual(expect.stringMatching(/^warn: ACCESS_TOKEN_FILE: cannot be read \(ENOENT\); /));
  });

  it('that are no plain file are not read', async () => {
    writeFileSync(at('access'), 'reader');
    const files = watched({ ACCESS_TOKEN_FILE: at('access') });
    rmSync(at('access'));
    mkdirSync(at('access'));
    await lookTwice(files);
    expect([used, log.map((line) => line.split(';')[0])]).toEqual([
      [],
      ['warn: ACCESS_TOKEN_FILE: is not a regular file'],
    ]);
  });
});
