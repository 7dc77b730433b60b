// Finds a redis-server program on this machine; where there is none, installs it with the system's package manager.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where package managers put programs that an ordinary user's PATH may leave out. */
const furtherFolders = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/**
 * Each package manager with the packages to try, in order. Some distributions carry Valkey instead of Redis, which
 * answers this proxy's commands alike.
 */
const packageManagers = [
  {
    program: 'apt-get',
    packages: ['redis-server'],
    refresh: ['update', '-qq'],
    install: ['install', '-y', '-qq', '--no-install-recommends'],
    // In runlevel 1 Debian's invoke-rc.d starts no service: only the program is wanted here.
    environment: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  },
  { program: 'dnf', packages: ['redis', 'valkey'], install: ['install', '-y', '-q'] },
  { program: 'yum', packages: ['redis', 'valkey'], install: ['install', '-y', '-q'] },
  { program: 'apk', packages: ['redis', 'valkey'], install: ['add', '--no-cache', '-q'] },
  { program: 'pacman', packages: ['redis', 'valkey'], install: ['-Sy', '--noconfirm', '--needed'] },
  { program: 'zypper', packages: ['redis', 'valkey'], install: ['--non-interactive', '--quiet', 'install'] },
  { program: 'brew', packages: ['redis'], install: ['install', '--quiet'], asOrdinaryUser: true },
];

/**
 * The path of a redis-server, installed first if need be.
 * @param {(message: string) => void} say told what takes long
 * @throws {Error} with instructions, when there is none and none may be installed
 */
export function ensureRedisServer(say) {
  const found = findRedisProgram('server');
  if (found) return found;

  const manager = packageManagers.find(({ program }) => findProgram(program));
  const prefix = manager && privilegePrefix(manager);
  if (!manager || !prefix) throw new Error(instructions(manager));
  for (const name of manager.packages) {
    say(`No redis-server on this machine: installing ${name} with ${manager.program} …`);
    const result = install(manager, prefix, name);
    const installed = findRedisProgram('server');
    if (installed) return installed;
    say(result);
  }
  throw new Error(`The installation did not work. ${instructions(manager)}`);
}

/** The path of redis-server or redis-cli (`role`), or of Valkey's, or undefined. */
export function findRedisProgram(role) {
  return findProgram(`redis-${role}`) ?? findProgram(`valkey-${role}`);
}

function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...furtherFolders];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What to put before the package manager's command so that it may install: nothing, sudo, or undefined if nothing. */
function privilegePrefix({ asOrdinaryUser = false }) {
  const isRoot = process.getuid?.() === 0;
  if (asOrdinaryUser) return isRoot ? undefined : [];
  if (isRoot) return [];
  const sudoAsksNothing = findProgram('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudoAsksNothing ? ['sudo', '-n'] : undefined;
}

/** Runs the package manager, quietly; returns what it said, for when it did not help. */
function install({ program, refresh, install: verb, environment = {} }, prefix, name) {
  const assignments = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const run = (...verbs) => {
    const [command, ...rest] = [...prefix, 'env', ...assignments, program, ...verbs];
    const { stdout, stderr, error } = spawnSync(command, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return error ? error.message : `${stdout}${stderr}`;
  };
  const refreshed = refresh ? run(...refresh) : '';
  return `${refreshed}${run(...verb, name)}`.trim();
}

function instructions(manager) {
  if (!manager) {
    return 'Install redis-server (https://redis.io/docs/latest/operate/oss_and_stack/install/).';
  }
  const command = [manager.program, ...manager.install.filter((word) => !/^-+q/.test(word)), manager.packages[0]];
  return `Install redis-server with \`${manager.asOrdinaryUser ? '' : 'sudo '}${command.join(' ')}\`.`;
}
