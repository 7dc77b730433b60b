import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { SECTIONS, withSection } from './performance-section.ts';

const textOf = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
const page = textOf('docs/performance.md');
const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Readonly<Record<string, string>> };

describe('withSection', () => {
  it.each([...SECTIONS])(
    'replaces the output of the measurement %s in docs/performance.md, and nothing else',
    (name, script) => {
      expect(scripts).toHaveProperty([script]);
      const once = withSection(page, name, '| 1 |\n');
      expect(once).toContain(`<!-- npm run bench:performance -- ${name} -->\n\n| 1 |\n\n<!-- end of the output -->`);
      expect(withSection(once, name, '| 1 |')).toBe(once);
      expect(once.match(/^## .*$/gm)).toEqual(page.match(/^## .*$/gm));
    },
  );

  it('throws if the page lacks the marks of the section', () => {
    expect(() => withSection('# Performance', 'hit', '')).toThrow('is missing');
  });

  it('has every section of the page that a command writes', () => {
    const marked = [...page.matchAll(/<!-- npm run bench:performance -- (\S+) -->/g)].map(([, name]) => name);
    expect(marked.sort()).toEqual([...SECTIONS.keys()].sort());
  });

  it('has every measurement that CONTRIBUTING.md names, and no others', () => {
    const [, list] = /one of these measurements \(([^)]+)\)/.exec(textOf('CONTRIBUTING.md')) ?? [];
    expect(list.split(', ')).toEqual([...SECTIONS.keys()].map((name) => `\`${name}\``));
  });
});
