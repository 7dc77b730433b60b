/**
 * Runs a measurement and writes its output into docs/performance.md: `npm run bench:performance -- cache --rounds 3`. The
 * arguments after the name are those of the measurement.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { SECTIONS, withSection } from './performance-section.ts';

const PAGE = new URL('../docs/performance.md', import.meta.url);

const [name = '', ...options] = process.argv.slice(2);
const measurement = SECTIONS.get(name);
if (measurement === undefined) {
  console.error(`Expected the name of a measurement: ${[...SECTIONS.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  const output = await outputOf(measurement, options);
  writeFileSync(PAGE, withSection(readFileSync(PAGE, 'utf8'), name, output));
}

/**
 * Runs an npm script, which builds the proxy first if it measures the built one, and returns its output.
 *
 * @throws Error if the script fails.
 */
function outputOf(script: string, args: readonly string[]): Promise<string> {
  const child = spawn('npm', ['run', '--silent', script, '--', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${script} exited with status ${status}`));
    });
  });
}
