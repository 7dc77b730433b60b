/**
 * Runs a benchmark and writes its tables into docs/performance.md: `npm run bench:performance -- cache --rounds 3`. The
 * arguments after the name are those of the benchmark.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { SECTIONS, withSection } from './performance-section.ts';

const PAGE = new URL('../docs/performance.md', import.meta.url);

const [name, ...options] = process.argv.slice(2);
if (SECTIONS.includes(name)) {
  const output = await outputOf(name, options);
  writeFileSync(PAGE, withSection(readFileSync(PAGE, 'utf8'), name, output));
} else {
  console.error(`Expected the name of a benchmark: ${SECTIONS.join(', ')}`);
  process.exitCode = 2;
}

/** @throws Error if the benchmark fails. */
function outputOf(benchmark: string, args: readonly string[]): Promise<string> {
  const script = new URL(`./${benchmark}.ts`, import.meta.url).pathname;
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`bench/${benchmark}.ts exited with status ${status}`));
    });
  });
}
