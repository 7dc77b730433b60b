/** Writes the tables of docs/configuration.md from the class of the settings: `npm run docs:configuration` */
import { readFileSync, writeFileSync } from 'node:fs';
import type { SettingDescription } from '../../src/config/environment/setting.decorators.ts';
import { settingsTables } from '../../src/config/settings-tables.spec-support.ts';

const PAGE = new URL('../../docs/configuration.md', import.meta.url);
const MARKED = /(<!-- npm run docs:configuration writes these tables -->\n\n).*(<!-- end of the tables -->)/s;

// As they were built: Node.js takes types away, and no decorators.
const built = (name: string) => new URL(`../../dist/config/${name}.js`, import.meta.url).href;
await import(built('environment/environment'));
const { describeSettings } = (await import(built('environment/setting.decorators'))) as {
  describeSettings: () => readonly SettingDescription[];
};

const page = readFileSync(PAGE, 'utf8');
if (!MARKED.test(page)) throw new Error('docs/configuration.md: the marks of the tables are missing');
writeFileSync(
  PAGE,
  page.replace(MARKED, (_all, start: string, end: string) => start + `${settingsTables(describeSettings())}\n\n` + end),
);
