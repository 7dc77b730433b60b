// Installs the client libraries of other languages that the tests use, if they are missing and installation is permitted. The
// tests of missing ones are skipped; in CI this script fails instead, since nobody would notice.
import { spawnSync } from 'node:child_process';
import { ensureProgram } from './programs.mjs';

/** Each with a command that succeeds if the library is installed. */
const libraries = [
  { name: 'redis-py', probe: ['/usr/bin/python3', '-c', 'import redis'], packages: ['python3-redis'] },
  { name: 'phpredis', probe: ['php', '-r', 'new Redis();'], packages: ['php-redis', 'php-cli'] },
  { name: 'redis-rb', probe: ['ruby', '-e', "require 'redis'"], packages: ['ruby-redis'] },
];

for (const { name, probe, packages } of libraries) {
  const [command, ...args] = probe;
  const find = () => (spawnSync(command, args, { stdio: 'ignore' }).status === 0 ? command : undefined);
  try {
    ensureProgram({ name, find, packages: { 'apt-get': packages } }, (message) => console.log(message));
  } catch (error) {
    console.error(`${error.message} Without it its tests are skipped.`);
    if (process.env.CI) process.exitCode = 1;
  }
}
