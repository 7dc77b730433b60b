import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Paths at which distributions and GitHub's runners install it. */
const EXECUTABLES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The path of a Chromium on this machine, CHROMIUM or one of the usual places; undefined if absent. */
export const CHROMIUM = [process.env.CHROMIUM ?? '', ...EXECUTABLES].find((path) => path !== '' && existsSync(path));

/** Starts Chromium headless. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    // Its sandbox needs what containers and root do not have; it only ever visits the proxy under test.
    chromiumSandbox: false,
    args: ['--disable-dev-shm-usage', '--disable-gpu', '--disable-background-networking'],
  });
}
