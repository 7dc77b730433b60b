import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { changelogWith, kustomizationWith } from '../../deploy/release/new-version.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');

describe('the changelog of a new version', () => {
  const before = '# Changelog\n\n## Unreleased\n\n### Added\n\n- This.\n\n## 0.9.0 - 2026-01-01\n\n- That.\n';

  it('has under it what was unreleased, and room for what comes next', () => {
    expect(changelogWith(before, '1.0.0', '2026-11-24')).toBe(
      '# Changelog\n\n## Unreleased\n\n## 1.0.0 - 2026-11-24\n\n### Added\n\n- This.\n\n## 0.9.0 - 2026-01-01\n\n- That.\n',
    );
  });

  it('stays as it is for a version before it', () => {
    expect(changelogWith(before, '1.0.0-rc.1', '2026-11-24')).toBe(before);
  });

  it.each(['', '## Unreleased\n', '## Unreleased\n\n## 0.9.0 - 2026-01-01\n\n- That.\n'])(
    'is refused for %j',
    (text) => {
      expect(() => changelogWith(text, '1.0.0', '2026-11-24')).toThrow('nothing under "## Unreleased"');
    },
  );

  it('can be made of the one that there is, whatever has come out before', () => {
    expect(read('CHANGELOG.md').match(/^## Unreleased$/gm)).toHaveLength(1);
  });
});

describe('the pods of a new version', () => {
  it('run its image', () => {
    const before = 'images:\n  - name: proxy\n    newTag: 1.0.0-rc.0\n';
    expect(kustomizationWith(before, '1.0.0')).toBe('images:\n  - name: proxy\n    newTag: 1.0.0\n');
    expect(() => kustomizationWith('images: []', '1.0.0')).toThrow('names no version');
  });
});

interface LockEntry {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

describe('the bill of materials', () => {
  it('names every package that the proxy runs with, and none that only development needs', () => {
    const folder = mkdtempSync(join(tmpdir(), 'test-sbom-'));
    try {
      const file = join(folder, 'sbom.cdx.json');
      execFileSync(process.execPath, ['deploy/release/sbom.ts', file], { cwd: ROOT });
      const sbom = JSON.parse(readFileSync(file, 'utf8')) as {
        bomFormat: string;
        metadata: { component: { name: string; version: string; type: string } };
        components: { name: string; version: string }[];
      };
      const { version } = JSON.parse(read('package.json')) as { version: string };
      expect(sbom).toMatchObject({
        bomFormat: 'CycloneDX',
        metadata: { component: { type: 'application', name: 'redis-http-cache-proxy', version } },
      });
      const named = sbom.components.map((component) => `${component.name}@${component.version}`);
      expect([...new Set(named)].sort()).toEqual(packagesInUse());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** The packages that are found on the way from one to the next, as Node.js looks for them. */
function packagesInUse(): string[] {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry | undefined> };
  /** The package of this name for the one in this folder: from there, or from the nearest folder above. */
  const resolve = (name: string, from: string): string | undefined => {
    const place = `${from}/node_modules/${name}`.replace(/^\//, '');
    if (packages[place] !== undefined) return place;
    return from === '' ? undefined : resolve(name, from.replace(/\/?node_modules\/(?!.*node_modules\/).*$/, ''));
  };
  const found = new Set<string>();
  const visit = (folder: string): void => {
    for (const name of Object.keys(packages[folder]?.dependencies ?? {})) {
      const target = resolve(name, folder);
      if (target === undefined || found.has(target)) continue;
      found.add(target);
      visit(target);
    }
  };
  visit('');
  const named = [...found].map((folder) => `${folder.replace(/^.*node_modules\//, '')}@${packages[folder]?.version}`);
  return [...new Set(named)].sort();
}
