// Finds a redis-server program on this machine; where there is none, installs it with the system's package manager.
import { ensureProgram, findProgram } from './programs.mjs';

/** Some distributions carry Valkey instead of Redis, which answers this proxy's commands alike. */
const either = ['redis', 'valkey'];

/**
 * The path of a redis-server, installed first if need be.
 * @param {(message: string) => void} say told what takes long
 * @throws {Error} with instructions, when there is none and none may be installed
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

/** The path of redis-server or redis-cli (`role`), or of Valkey's, or undefined. */
export function findRedisProgram(role) {
  return findProgram(`redis-${role}`) ?? findProgram(`valkey-${role}`);
}
