import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { loadSettings } from './load-settings.ts';
import { describeSettings, settingGroups } from './environment/environment.ts';
import type { SettingDescription } from './environment/setting.decorators.ts';
import { settingsTables } from './settings-tables.spec-support.ts';

const top = (name: string) => new URL(`../../${name}`, import.meta.url);
const readme = readFileSync(top('README.md'), 'utf8');
const page = readFileSync(top('docs/configuration.md'), 'utf8');
const dotEnv = readFileSync(top('.env'), 'utf8');

const dependsOnMachine = (setting: SettingDescription) => setting.defaultText !== setting.default;

describe('the tables of settings in docs/configuration.md', () => {
  it('are what `npm run docs:configuration` makes of the class', () => {
    const START = '<!-- npm run docs:configuration writes these tables -->';
    const [, tables] = page.split(new RegExp(`${START}|<!-- end of the tables -->`));
    expect(tables.trim()).toBe(settingsTables(settingGroups()));
  });

  it('have each setting once', () => {
    const names = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name);
    expect(names).toEqual(describeSettings().map(({ name }) => name));
  });
});

describe('the short table of settings in the README', () => {
  it('says of each what the class says, in its order', () => {
    const table = /^\| name \| default \| meaning \|\n\|[ |-]+\|\n((?:\|.*\n)+)/m.exec(readme)?.[1] ?? '';
    const rows = describeSettings().map(
      ({ name, defaultText, meaning }) => `| \`${name}\` | ${defaultText} | ${meaning} |`,
    );
    const shown = table.trimEnd().split('\n');
    expect(shown.length).toBeGreaterThan(5);
    expect(shown).toEqual(rows.filter((row) => shown.includes(row)));
  });
});

describe('the .env file', () => {
  it('sets nothing, so that what runs without it runs with it', () => {
    expect(dotEnv.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });

  it('has every setting, in their order, commented out: its meaning, then its name with its default', () => {
    const documented = [...dotEnv.matchAll(/^# (.+)\n#(\w+=.*)$/gm)].map(([, meaning, line]) => ({ meaning, line }));
    expect(documented).toEqual(
      describeSettings().map((setting) => ({
        meaning: `${setting.meaning}${dependsOnMachine(setting) ? `; default: ${setting.defaultText}` : ''}`,
        line: `${setting.name}=${dependsOnMachine(setting) ? '' : setting.default}`,
      })),
    );
    expect(dotEnv.match(/^#\w+=/gm)).toHaveLength(documented.length);
  });

  it('changes nothing when every `#` before a name is taken away', () => {
    const given = Object.fromEntries([...dotEnv.matchAll(/^#(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
    const load = (variables: Record<string, string>) => loadSettings(variables, '/none', {}, undefined, Infinity);
    expect(load(given)).toEqual(load({}));
  });

  it('names the secrets that can be read from a file', () => {
    for (const { name, secret } of describeSettings()) if (secret) expect(dotEnv).toContain(`${name}_FILE`);
  });
});
