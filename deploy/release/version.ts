// Part of `npm version`, which has changed package.json by now and commits what is staged: the other files that name the
// version.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { changelogWith, kustomizationWith } from './new-version.ts';

const KUSTOMIZATIONS = [
  'deploy/kubernetes/base/kustomization.yaml',
  'deploy/kubernetes/components/sidecar/kustomization.yaml',
];

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const today = new Date().toISOString().slice(0, 10);

change('CHANGELOG.md', (text) => changelogWith(text, version, today));
for (const file of KUSTOMIZATIONS) change(file, (text) => kustomizationWith(text, version));
execFileSync('git', ['add', 'CHANGELOG.md', ...KUSTOMIZATIONS]);

function change(file: string, how: (text: string) => string): void {
  writeFileSync(file, how(readFileSync(file, 'utf8')));
}
