// `npm run sbom`: what the proxy is made of, as CycloneDX, in sbom.cdx.json or in the file that is named. `npm sbom
// --omit=dev` leaves out whatever development needs too, so npm is shown a lock file of production alone.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lock, productionLock, productionManifest } from './production.ts';

const [, , file = 'sbom.cdx.json'] = process.argv;
const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')) as Record<string, unknown>;
const manifest = read('package.json');
const temporary = mkdtempSync(join(tmpdir(), 'sbom-'));

try {
  // npm takes the name of the program from that of its folder.
  const folder = join(temporary, String(manifest.name));
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(productionManifest(manifest)));
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify(productionLock(read('package-lock.json') as Record<string, unknown> & Lock)),
  );
  const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  writeFileSync(file, execFileSync('npm', args, { cwd: folder }));
} finally {
  rmSync(temporary, { recursive: true });
}
