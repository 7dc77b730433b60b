/** A command of a transcript, and what it shows. */
export interface Step {
  readonly command: string;
  readonly shown: string;
}

/** What may be run anywhere, and changes nothing outside of a test's own processes and folder. */
const MAY_RUN = /^(?:curl|redis-cli|sleep|echo|make start)\b|\bnode dist\/main\.js$/;
const PROMPT = /^(?:\$|127\.0\.0\.1:6380>) /;
const REDIS_CLI = '127.0.0.1:6380> ';

/** The commands of a block that stand behind `$`. */
export function commandsOf(block: string): string[] {
  return [...block.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command);
}

/**
 * The steps of a block as terminals show it: a command behind `$`, or at the prompt of redis-cli, and what it prints. Undefined
 * when one of them is not to be run by a test, as the build of an image.
 */
export function stepsOf(block: string): Step[] | undefined {
  const steps: { command: string; shown: string[] }[] = [];
  for (const line of block.split('\n')) {
    if (!PROMPT.test(line)) steps.at(-1)?.shown.push(line);
    else if (line.startsWith(REDIS_CLI)) {
      steps.push({ command: `redis-cli -p 6380 ${line.slice(REDIS_CLI.length)}`, shown: [] });
    } else if (line !== '$ redis-cli -p 6380') steps.push({ command: line.slice(2), shown: [] });
  }
  if (steps.length === 0 || !steps.every(({ command }) => MAY_RUN.test(command))) return undefined;
  return steps.map(({ command, shown }) => ({ command, shown: shown.join('\n') }));
}

/** The settings in a `make start NAME=value …`; undefined for other commands. */
export function settingsOf(command: string): Readonly<Record<string, string>> | undefined {
  if (!command.startsWith('make start')) return undefined;
  return Object.fromEntries(
    [...command.matchAll(/ (\w+)=(?:'([^']*)'|(\S*))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]),
  );
}

/** Less what differs from one run to the next: times, and blank lines at the end. */
export function lasting(text: string): string {
  return text
    .replace(/\r$/gm, '')
    .replace(/^Date: .*$/m, 'Date: …')
    .replace(/(\bAge: |\bttl=-?|"age":|"uptimeSeconds":)\d+/g, '$1…')
    .trimEnd();
}
