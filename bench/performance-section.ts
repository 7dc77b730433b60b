/** The measurements whose output is a section of docs/performance.md, with the npm script that prints it. */
export const SECTIONS: ReadonlyMap<string, string> = new Map([
  ['hit', 'bench:hit'],
  ['misses', 'bench:misses'],
  ['cache', 'bench:cache'],
  ['purge', 'bench:purge'],
  ['purge-matching', 'bench:purge-matching'],
  ['threads', 'bench:threads'],
  ['start', 'bench:start'],
  ['expiry', 'bench:expiry'],
  ['outage', 'bench:outage'],
  ['rolling-restart', 'bench:rolling-restart'],
  ['staleness', 'staleness'],
  ['soak', 'soak'],
  ['fast-path', 'fuzz:fast-path'],
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
