/** The benchmarks whose output is a section of docs/performance.md. */
export const SECTIONS: readonly string[] = ['hit', 'cache', 'threads', 'start'];

const END = '<!-- end of the output -->';
const startOf = (name: string): string => `<!-- npm run bench:performance -- ${name} -->`;

/**
 * Returns the page with the output of a benchmark between its marks.
 *
 * @throws Error if the page lacks the marks.
 */
export function withSection(page: string, name: string, output: string): string {
  const start = page.indexOf(startOf(name));
  const end = page.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`docs/performance.md: ${startOf(name)} … ${END} is missing`);
  return `${page.slice(0, start)}${startOf(name)}\n\n${output.trim()}\n\n${page.slice(end)}`;
}
