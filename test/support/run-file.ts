import { Child } from './processes.ts';

/** Runs a TypeScript file of the test folder in a process of its own; returns its output. Fails if it exits with another status than 0. */
export async function runFile(file: string, ...args: string[]): Promise<string> {
  const path = new URL(`../${file}`, import.meta.url).pathname;
  const child = new Child(process.execPath, [path, ...args], { env: { PATH: process.env.PATH } });
  const status = await child.exit;
  if (status !== 0) throw new Error(`${file} exited with ${status}:\n${child.output}${child.errors}`);
  return child.output;
}
