// Installs Chromium for the browser tests if it is missing and installation is permitted. Without Chromium these tests are
// skipped; in CI this script fails instead, since nobody would notice.
import { ensureProgram, findProgram } from './programs.mjs';

/** The names that test/support/chromium.ts looks for; GitHub's runners have Google Chrome. */
const names = ['chromium', 'chromium-browser', 'google-chrome'];

const wanted = {
  name: 'Chromium',
  find: () => process.env.CHROMIUM || names.map(findProgram).find(Boolean),
  packages: {
    'apt-get': ['chromium'],
    dnf: ['chromium'],
    apk: ['chromium'],
    pacman: ['chromium'],
    zypper: ['chromium'],
  },
};

try {
  ensureProgram(wanted, (message) => console.log(message));
} catch (error) {
  console.error(`${error.message} Without it the browser tests are skipped.`);
  if (process.env.CI) process.exitCode = 1;
}
