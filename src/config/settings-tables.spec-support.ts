import { SETTING_GROUPS } from './environment/setting-groups.ts';
import type { SettingDescription } from './environment/setting.decorators.ts';

const BYTES = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 };
const MILLISECONDS = { h: 3_600_000, min: 60_000, s: 1000 };

/** A heading and a table for each group of settings, as docs/configuration.md has them. */
export function settingsTables(settings: readonly SettingDescription[]): string {
  const sections = Object.entries(SETTING_GROUPS).map(([title, names]) => {
    const rows = settings.filter(({ name }) => names.test(name)).map(row);
    return [`### ${title}`, '', '| name | default | accepted | meaning |', '| --- | --- | --- | --- |', ...rows].join(
      '\n',
    );
  });
  return sections.join('\n\n');
}

function row(setting: SettingDescription): string {
  const { name, secret, meaning } = setting;
  const names = secret ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``;
  const cells = [names, defaultCell(setting), text(setting.accepted), text(meaning)];
  return `| ${cells.join(' | ')} |`;
}

function defaultCell({ name, default: value, defaultText }: SettingDescription): string {
  if (defaultText !== value) return text(defaultText);
  const inUnits = name.endsWith('_BYTES')
    ? inUnit(value, BYTES)
    : name.endsWith('_MS')
      ? inUnit(value, MILLISECONDS)
      : '';
  return value === '' ? '' : `\`${value}\`${inUnits}`;
}

/** In the largest unit of which it is a whole number. */
function inUnit(value: string, units: Readonly<Record<string, number>>): string {
  const [found] = Object.entries(units).filter(([, size]) => Number(value) > 0 && Number(value) % size === 0);
  return found === undefined ? '' : ` (${Number(value) / found[1]} ${found[0]})`;
}

/** So that Markdown shows it as it is. */
function text(words: string): string {
  return words.replace(/[\\*[\]<>|]/g, '\\$&');
}
