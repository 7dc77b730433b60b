/** A command of a transcript with its expected output. */
export interface Step {
  readonly command: string;
  readonly output: string;
}

/** Commands that a test may run: they affect only its own processes and folder. */
const MAY_RUN = /^(?:curl|redis-cli|sleep|echo|openssl|make start)\b|\bnode dist\/main\.js$/;
const PROMPT = /^(?:\$|127\.0\.0\.1:6380>) /;
const REDIS_CLI = '127.0.0.1:6380> ';

/** Returns the commands of a block, the lines that begin with `$`. */
export function commandsOf(block: string): string[] {
  return [...block.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command);
}

/**
 * Parses a block into steps: commands after `$` or after the prompt of redis-cli, each with its output. Returns undefined if a
 * test may not run one of them, such as the build of an image.
 */
export function stepsOf(block: string): Step[] | undefined {
  const steps: { command: string; output: string[] }[] = [];
  for (const line of block.split('\n')) {
    if (!PROMPT.test(line)) steps.at(-1)?.output.push(line);
    else if (line.startsWith(REDIS_CLI)) {
      steps.push({ command: `redis-cli -p 6380 ${line.slice(REDIS_CLI.length)}`, output: [] });
    } else if (line !== '$ redis-cli -p 6380') steps.push({ command: line.slice(2), output: [] });
  }
  if (steps.length === 0 || !steps.every(({ command }) => MAY_RUN.test(command))) return undefined;
  return steps.map(({ command, output }) => ({ command, output: output.join('\n') }));
}

/** Whether a command only waits for what was done before. */
export function isWait(command: string): boolean {
  return command.startsWith('sleep ');
}

/** Whether the next command may have to be repeated until it shows what this one has changed, or has waited for. */
export function mayTakeEffectLater(command: string): boolean {
  return isWait(command) || /^redis-cli .*\b(?:set|publish) /.test(command);
}

/** Returns the settings of `make start NAME=value …`; undefined for other commands. */
export function settingsOf(command: string): Readonly<Record<string, string>> | undefined {
  if (!command.startsWith('make start')) return undefined;
  return Object.fromEntries(
    [...command.matchAll(/ (\w+)=(?:'([^']*)'|(\S*))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]),
  );
}

/** Replaces what varies between runs: dates, ages, and blank lines at the end. */
export function withoutChangingParts(text: string): string {
  return text
    .replace(/\r$/gm, '')
    .replace(/^Date: .*$/m, 'Date: …')
    .replace(/(\bAge: |\bttl=-?|"age":|"uptimeSeconds":)\d+/g, '$1…')
    .trimEnd();
}
