import { existsSync, globSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Page } from './markdown.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const paths = globSync('**/*.md', {
  cwd: ROOT,
  exclude: (name) => ['node_modules', 'dist', 'coverage'].includes(name),
});
const pages = new Map(paths.sort().map((path) => [path, new Page(path)]));

/** Returns the problem of a link; undefined if its target exists or is outside of the project. */
function problemWith(target: string, path: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file, anchor] = target.split('#');
  const linked = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), decodeURIComponent(file)));
  if (linked.startsWith('..') || !existsSync(join(ROOT, linked))) return `${target}: ${linked} does not exist`;
  if (anchor === undefined) return undefined;
  return pages.get(linked)?.anchors.has(anchor) ? undefined : `${target}: ${linked} has no such heading`;
}

describe('links in Markdown files', () => {
  it('are checked in every folder', () => {
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'docs/scaling.md', 'deploy/kubernetes/README.md']));
  });

  it.each(paths)('of %s lead to existing files and headings', (path) => {
    const targets = pages.get(path)?.targets ?? [];
    expect(targets.flatMap((target) => problemWith(target, path) ?? [])).toEqual([]);
  });

  it('are reported if the file or heading does not exist', () => {
    expect(
      ['none.md', '#none', 'docs/scaling.md#none', '../other.md'].map((each) => problemWith(each, 'README.md')),
    ).toEqual([
      'none.md: none.md does not exist',
      '#none: README.md has no such heading',
      'docs/scaling.md#none: docs/scaling.md has no such heading',
      '../other.md: ../other.md does not exist',
    ]);
  });

  it('lead from README.md to every page of docs/, and from the index of the decisions to each of them', () => {
    const linked = pages.get('README.md')?.targets;
    const isDecision = (path: string) => path.startsWith('docs/decisions/');
    const docs = paths.filter((path) => path.startsWith('docs/') && !isDecision(path));
    expect(linked).toEqual(expect.arrayContaining(docs));
    const decisions = paths.filter((path) => isDecision(path) && !path.endsWith('README.md'));
    const names = decisions.map((path) => path.replace('docs/decisions/', ''));
    expect(pages.get('docs/decisions/README.md')?.targets).toEqual(expect.arrayContaining(names));
    expect(pages.get('ARCHITECTURE.md')?.targets).toContain('docs/decisions/README.md');
  });
});
