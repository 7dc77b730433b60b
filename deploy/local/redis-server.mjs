// Finds redis-server on this machine or installs it with the system's package manager.
import { ensureProgram, findProgram } from './programs.mjs';

/** Some distributions have Valkey instead of Redis; it behaves alike for the commands of the proxy. */
const either = ['redis', 'valkey'];

/**
 * Returns the path of redis-server, after installing it if necessary.
 * @param {(message: string) => void} say called before lengthy steps
 * @throws {Error} with instructions, if it is missing and may not be installed
 */
export function ensureRedisServer(say) {
  const wanted = {
    name: 'redis-server',
    find: () => findRedisProgram('server'),
    packages: {
      'apt-get': ['redis-server'],
      dnf: either,
      yum: either,
      apk: either,
      pacman: either,
      zypper: either,
      brew: ['redis'],
    },
    page: 'https://redis.io/docs/latest/operate/oss_and_stack/install/',
  };
  return ensureProgram(wanted, say);
}

/** Returns the path of redis-server or redis-cli (`role`), or of their Valkey counterparts; undefined if missing. */
export function findRedisProgram(role) {
  return findProgram(`redis-${role}`) ?? findProgram(`valkey-${role}`);
}
