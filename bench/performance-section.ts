/** The measurements whose output is a section of docs/performance.md, with the program that prints it. */
export const SECTIONS: ReadonlyMap<string, string> = new Map([
  ['hit', 'bench/hit.ts'],
  ['misses', 'bench/misses.ts'],
  ['cache', 'bench/cache.ts'],
  ['threads', 'bench/threads.ts'],
  ['start', 'bench/start.ts'],
  ['outage', 'bench/outage.ts'],
  ['staleness', 'test/staleness/main.ts'],
  ['soak', 'test/soak/main.ts'],
  ['fast-path', 'test/fast-path/main.ts'],
]);

const END = '<!-- end of the output -->';
const startOf = (name: string): string => `<!-- npm run bench:performance -- ${name} -->`;

/**
 * Returns the page with the output of a measurement between its marks.
 *
 * @throws Error if the page lacks the marks.
 */
export function withSection(page: string, name: string, output: string): string {
  const start = page.indexOf(startOf(name));
  const end = page.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`docs/performance.md: ${startOf(name)} … ${END} is missing`);
  return `${page.slice(0, start)}${startOf(name)}\n\n${output.trim()}\n\n${page.slice(end)}`;
}
