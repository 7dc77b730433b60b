// Installs the newest Node.js of each supported line into node_modules/.cache, for the tests that run on each of them
// (jest.long.config.mjs). If that fails, these tests are skipped; in CI this script fails instead, since nobody would notice.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { NODE_LINES, newestNode, newestNodeFolder } from './newest-node.mjs';

for (const line of NODE_LINES) {
  if (newestNode(line) !== undefined && !process.env.CI) continue;
  const folder = newestNodeFolder(line);
  mkdirSync(folder, { recursive: true });
  console.log(`Installing the newest Node.js ${line} for the tests …`);
  const wanted = `node-${process.platform}-${process.arch}@${line}`;
  const options = ['--no-save', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', '--prefix', folder, ...options, wanted], { stdio: 'inherit' });
  if (status === 0 && newestNode(line) !== undefined) continue;
  console.error(`${wanted} could not be installed: the tests on Node.js ${line} are skipped.`);
  if (process.env.CI) process.exitCode = 1;
}
