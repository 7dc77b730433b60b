/** Writes the tables of docs/configuration.md from the declarations of the settings: `npm run docs:configuration` */
import { readFileSync, writeFileSync } from 'node:fs';
import type { SettingGroup } from '../../src/config/environment/environment.ts';
import { settingsTables } from '../../src/config/settings-tables.spec-support.ts';

const PAGE = new URL('../../docs/configuration.md', import.meta.url);
const MARKED = /(<!-- npm run docs:configuration writes these tables -->\n\n).*(<!-- end of the tables -->)/s;

// Imported from dist, since Node.js strips types but does not compile decorators.
const built = (name: string) => new URL(`../../build/config/${name}.js`, import.meta.url).href;
const { settingGroups } = (await import(built('environment/environment'))) as {
  settingGroups: () => readonly SettingGroup[];
};

const page = readFileSync(PAGE, 'utf8');
if (!MARKED.test(page)) throw new Error('docs/configuration.md: the marks of the tables are missing');
writeFileSync(
  PAGE,
  page.replace(MARKED, (_all, start: string, end: string) => start + `${settingsTables(settingGroups())}\n\n` + end),
);
