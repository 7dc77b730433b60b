// Finds programs on this machine and installs missing ones with the system's package manager.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Folders of package managers that the PATH of an ordinary user may omit. */
const furtherFolders = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** The commands of package managers for an installation without questions. */
const packageManagers = [
  {
    program: 'apt-get',
    refresh: ['update', '-qq'],
    install: ['install', '-y', '-qq', '--no-install-recommends'],
    // In runlevel 1 Debian's invoke-rc.d starts no service: only the program is wanted here.
    environment: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  },
  { program: 'dnf', install: ['install', '-y', '-q'] },
  { program: 'yum', install: ['install', '-y', '-q'] },
  { program: 'apk', install: ['add', '--no-cache', '-q'] },
  { program: 'pacman', install: ['-Sy', '--noconfirm', '--needed'] },
  { program: 'zypper', install: ['--non-interactive', '--quiet', 'install'] },
  { program: 'brew', install: ['install', '--quiet'], asOrdinaryUser: true },
];

/**
 * @typedef {object} Wanted
 * @property {string} name its name in messages
 * @property {() => string | undefined} find returns its path
 * @property {Readonly<Record<string, readonly string[]>>} packages names of its packages by package manager,
 *   in the order in which they are tried
 * @property {string} [page] URL of its installation instructions
 */

/**
 * Returns the path of a program, after installing it if necessary.
 * @param {Wanted} wanted
 * @param {(message: string) => void} say called before lengthy steps
 * @throws {Error} with instructions, if the program is missing and may not be installed
 */
export function ensureProgram(wanted, say) {
  const found = wanted.find();
  if (found) return found;

  const manager = packageManagers.find(({ program }) => program in wanted.packages && findProgram(program));
  const prefix = manager && privilegePrefix(manager);
  if (!manager || !prefix) throw new Error(instructions(wanted, manager));
  for (const name of wanted.packages[manager.program]) {
    say(`No ${wanted.name} on this machine: installing ${name} with ${manager.program} …`);
    const result = install(manager, prefix, name);
    const installed = wanted.find();
    if (installed) return installed;
    say(result);
  }
  throw new Error(`The installation failed. ${instructions(wanted, manager)}`);
}

/** Returns the path of an executable program, or undefined. */
export function findProgram(name) {
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

/** Returns the prefix of an installation command: empty or sudo; undefined if installation is not permitted. */
function privilegePrefix({ asOrdinaryUser = false }) {
  const isRoot = process.getuid?.() === 0;
  if (asOrdinaryUser) return isRoot ? undefined : [];
  if (isRoot) return [];
  const sudoNeedsNoPassword =
    findProgram('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudoNeedsNoPassword ? ['sudo', '-n'] : undefined;
}

/** Runs the package manager and returns its output, which is shown if the installation fails. */
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

function instructions({ name, packages, page }, manager) {
  if (!manager) return `Install ${name}${page ? ` (${page})` : ''}.`;
  const verb = manager.install.filter((word) => !/^-+q/.test(word));
  const command = [manager.program, ...verb, packages[manager.program][0]].join(' ');
  return `Install ${name} with \`${manager.asOrdinaryUser ? '' : 'sudo '}${command}\`.`;
}
