import type { SettingGroup } from './environment/environment.ts';
import type { SettingDescription } from './environment/setting.decorators.ts';

const BYTES = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 };
const MILLISECONDS = { h: 3_600_000, min: 60_000, s: 1000 };

/** Returns a heading and a table for each group of settings, for docs/configuration.md. */
export function settingsTables(groups: readonly SettingGroup[]): string {
  const sections = groups.map(({ title, settings }) => {
    const rows = settings.map(row);
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

/** Formats a number in the largest unit of which it is an integer multiple; returns an empty string if there is none. */
function inUnit(value: string, units: Readonly<Record<string, number>>): string {
  const [found] = Object.entries(units).filter(([, size]) => Number(value) > 0 && Number(value) % size === 0);
  return found === undefined ? '' : ` (${Number(value) / found[1]} ${found[0]})`;
}

/** Escapes text for a cell of a Markdown table. */
function text(plain: string): string {
  return plain.replace(/[\\*[\]<>|]/g, '\\$&');
}
