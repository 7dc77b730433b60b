import { describe } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { CHROMIUM } from './chromium.ts';
import { describeOwn } from './only-own.ts';

/** Describes tests that need a browser and start their own proxies. Skipped without Chromium. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (CHROMIUM === undefined) describe.skip(`${name} (skipped: Chromium is not installed)`, tests);
  else describeOwn(name, tests);
}

/** A page in a browser that records console errors and the origins of its requests. */
export class WatchedPage {
  readonly page: Page;
  /** Console errors and warnings (violations of the Content-Security-Policy included) and uncaught exceptions. */
  readonly errors: string[] = [];
  /** Distinct origins of all requests. */
  readonly origins = new Set<string>();

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.errors.push(message.text());
    });
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol !== 'data:' && protocol !== 'blob:') this.origins.add(origin);
    });
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<WatchedPage> {
    const watched = new WatchedPage(await browser.newPage(options));
    await watched.page.goto(url);
    return watched;
  }

  /** Pixels by which the page is wider than the window. */
  overflow(): Promise<number> {
    return this.page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  }

  /** The text of the element with this id. */
  async text(id: string): Promise<string> {
    return (await this.page.locator(`#${id}`).textContent()) ?? '';
  }
}
