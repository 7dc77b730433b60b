import { spawnSync } from 'node:child_process';

/** Returns the version of an installed package of Debian or Ubuntu; "version unknown" without dpkg. */
export function debianVersion(name: string): string {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8' });
  return status === 0 ? stdout : 'version unknown';
}
