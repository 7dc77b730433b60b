import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Returns the version of the proxy, from package.json. */
export function packageVersion(): string {
  return version;
}
