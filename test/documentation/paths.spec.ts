import { existsSync, globSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

const ROOT = new URL('../../', import.meta.url).pathname;
const PAGES = ['ARCHITECTURE.md', 'test/README.md', ...globSync('docs/decisions/*.md', { cwd: ROOT })];
const textOf = (path: string): string => readFileSync(ROOT + path, 'utf8');

/** What the build makes, which may not have run yet. */
const BUILT = ['build/', 'dist/'];

/** Returns whether a path exists, relative to the root of the project, to src/ or test/, or to any folder below these two. */
function exists(path: string): boolean {
  if (BUILT.includes(path)) return true;
  if (['', 'src/', 'test/'].some((folder) => existsSync(ROOT + folder + path))) return true;
  return globSync(`{src,test}/**/${path}`, { cwd: ROOT }).length > 0;
}

it.each(PAGES)('%s names files and folders that exist', (page) => {
  const named = [...textOf(page).matchAll(/`([\w./-]+(?:\.m?ts|\.mjs|\/))`/g)].map(([, path]) => path);
  expect(named.filter((path) => !exists(path))).toEqual([]);
});

it('ARCHITECTURE.md has fewer than 200 lines', () => {
  expect(textOf('ARCHITECTURE.md').trimEnd().split('\n').length).toBeLessThan(200);
});

it('the index of the decisions lists them in order, each with its title', () => {
  const listed = [...textOf('docs/decisions/README.md').matchAll(/^- \[(.+)\]\((.+)\)$/gm)];
  const decisions = globSync('docs/decisions/0*.md', { cwd: ROOT }).sort();
  expect(listed.map(([, title, path]) => [`docs/decisions/${path}`, title])).toEqual(
    decisions.map((path) => [path, textOf(path).split('\n')[0].replace(/^# /, '')]),
  );
});
