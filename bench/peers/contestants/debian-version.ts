import { spawnSync } from 'node:child_process';

/** The version of an installed package of Debian or Ubuntu; where there is no dpkg: that it is unknown. */
export function debianVersion(name: string): string {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8' });
  return status === 0 ? stdout : 'version unknown';
}
