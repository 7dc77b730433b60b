import { describe } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { CHROMIUM } from './chromium.ts';
import { describeOwn } from './only-own.ts';

/** Tests that need a browser, and proxies of their own. */
export function describeInBrowser(promise: string, tests: () => void): void {
  if (CHROMIUM === undefined) describe.skip(`${promise} (skipped: there is no Chromium on this machine)`, tests);
  else describeOwn(promise, tests);
}

/** A page in a browser, with all that nobody wants to see there. */
export class WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console, violations of the Content-Security-Policy among them; scripts that failed. */
  readonly complaints: string[] = [];
  /** Where requests went, each once. */
  readonly origins = new Set<string>();

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
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
