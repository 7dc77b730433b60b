// Installs a Chromium for the browser tests where there is none and it may; without one these tests are skipped, but not
// in CI, where nobody would notice.
import { ensureProgram, findProgram } from './programs.mjs';

/** As test/support/chromium.ts looks for it; the machines of GitHub have Google's. */
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
