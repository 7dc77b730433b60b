import { Agent } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, Locator, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { ask } from '../support/http-client.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { WatchedPage, describeInBrowser } from '../support/watched-page.ts';

const PHONE = { width: 360, height: 780 };
const HITS = 300;

describeInBrowser('the dashboard, in a browser', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let locked: TestProxy;
  /** One that a test has started for itself. */
  let own: TestProxy | undefined;
  let browser: Browser;

  beforeAll(async () => {
    redis = await TestRedis.start();
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 2 };
    [proxy, locked, browser] = await Promise.all([
      TestProxy.start({ ...settings, ADMIN_TOKEN: 'admin' }),
      TestProxy.start({ ...settings, ACCESS_TOKEN: 'reader' }),
      launchChromium(),
    ]);
  });
  beforeEach(() => seedDemoKeys(redis.client));
  afterAll(async () => {
    await browser?.close();
    await Promise.all([proxy?.stop(), locked?.stop(), own?.stop()]);
    await redis?.stop();
  });

  const key = (page: Page): Locator => page.getByLabel('Key', { exact: true });

  /** Types a key and presses Enter; answers what is said of it. */
  async function lookUp({ page }: WatchedPage, name: string): Promise<string> {
    const summary = page.locator('#found-summary');
    const before = await summary.textContent();
    await key(page).fill(name);
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url().includes('/v1/keys/')),
      key(page).press('Enter'),
    ]);
    return until('the page says what came of it', async () => {
      const text = (await summary.textContent()) ?? '';
      return text.startsWith(String(answer.status())) && text !== before ? text : undefined;
    });
  }

  const becomes = (watched: WatchedPage, id: string, text: RegExp): Promise<true> =>
    until(`#${id} matches ${text}`, async () => (text.test(await watched.text(id)) ? true : undefined));

  it('loads from the proxy alone, has nothing to complain of, and shows the traffic of all threads', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    await becomes(watched, 'live-text', /^Live$/);
    await becomes(watched, 'redis-state', /^connected$/);
    await becomes(watched, 'coherence-state', /^ttl$/);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    await ask(proxy.url, '/v1/keys/greeting', { agent });
    await Promise.all(Array.from({ length: HITS }, () => ask(proxy.url, '/v1/keys/greeting', { agent })));
    agent.destroy();
    await becomes(watched, 'reads-note', new RegExp(`^${HITS + 1} over HTTP$`));
    await becomes(watched, 'entries', /^1$/);
    const row = watched.page.locator('#chart-reads tbody tr', { hasText: 'hits' });
    expect(Number((await row.locator('td').last().textContent())?.replace(',', ''))).toBeGreaterThan(0);
    expect(await watched.text('ratio-note')).toMatch(/^9\d\.\d % since the start$/);
    expect(watched.complaints).toEqual([]);
    expect([...watched.origins]).toEqual([proxy.url]);
    await watched.page.close();
  });

  it('looks keys up: value, headers, and where it came from, in words', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    expect(await lookUp(watched, 'café/menu')).toBe('200 OK, 22 B');
    expect(await watched.text('found-words')).toMatch(/^The cache did not hold it\. It was read from Redis/);
    expect(await watched.text('value')).toBe('crème brûlée, 7 €');
    const headers = page.getByRole('table', { name: 'Headers' });
    expect(await headers.getByRole('row', { name: 'cache-status' }).textContent()).toContain('fwd=uri-miss; stored');
    // Not from the browser's own cache, and not past the proxy's.
    await page.getByRole('button', { name: 'Look up' }).click();
    await becomes(watched, 'found-words', /^From the cache, which holds it for another \d\d seconds\.$/);
    await page.getByLabel('read it from Redis now').check();
    await page.getByRole('button', { name: 'Look up' }).click();
    await becomes(watched, 'found-words', /^It was to be read anew/);
    expect(watched.complaints).toEqual([]);
    await page.close();
  });

  it('shows bytes that are no text in hex, empty values as such, and the start of long ones', async () => {
    const long = 'x'.repeat(100_000);
    await redis.client.set('long', long);
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    expect(await lookUp(watched, 'binary')).toBe('200 OK, 256 B');
    expect(await watched.text('value')).toMatch(/^000000 {2}00 01 02[^]*\n0000f0 {2}f0 /);
    await watched.page.getByLabel('base64').check();
    expect(await watched.text('value')).toBe(
      Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString('base64'),
    );
    expect(await lookUp(watched, 'empty')).toBe('200 OK, 0 B');
    expect(await watched.text('value-note')).toBe('The value is empty: zero bytes.');
    expect(await lookUp(watched, 'long')).toBe('200 OK, 97.7 KiB');
    expect(await watched.text('value')).toBe(long.slice(0, 65_536));
    expect(await watched.text('value-note')).toBe('The first 64 KiB of 97.7 KiB.');
    await watched.page.close();
  });

  it('says what the proxy says of keys that it cannot give', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    expect(await lookUp(watched, 'nobody')).toBe('404 Not Found: Redis has no such key.');
    expect(await lookUp(watched, 'queue')).toBe('409 Conflict: The value stored at this key is not a string.');
    expect(await watched.page.locator('#found-value').isHidden()).toBe(true);
    await key(watched.page).fill('');
    await key(watched.page).press('Enter');
    await becomes(watched, 'found-summary', /^Which key\?$/);
    await watched.page.close();
  });

  it('purges and flushes with the admin token, and keeps it nowhere', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await lookUp(watched, 'greeting');
    const purge = page.getByRole('button', { name: 'Purge the key' });
    await page.locator('#admin-tools').waitFor();
    await purge.click();
    await becomes(watched, 'operated', /^This takes the admin token\.$/);
    const token = page.getByLabel('Admin token');
    await token.fill('wrong');
    await purge.click();
    await becomes(watched, 'operated', /^The admin API needs its bearer token\.$/);
    await token.fill('admin');
    await purge.click();
    await becomes(watched, 'operated', /^The key is purged/);
    await purge.click();
    await becomes(watched, 'operated', /^The cache did not hold the key\.$/);
    await page.getByRole('button', { name: 'Look up' }).click();
    await becomes(watched, 'found-words', /^The cache did not hold it\. It was read from Redis/);
    await page.getByRole('button', { name: 'Flush the cache' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Flush' }).click();
    await becomes(watched, 'operated', /^The cache is empty: \d+ entr/);
    await becomes(watched, 'entries', /^0$/);
    expect(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]')).toEqual(['', 0, 0]);
    await page.reload();
    await page.locator('#admin-tools').waitFor();
    expect(await token.inputValue()).toBe('');
    await page.close();
  });

  it('purges no more than a key, whatever is typed', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await lookUp(watched, 'greeting');
    await page.locator('#admin-tools').waitFor();
    await page.getByLabel('Admin token').fill('admin');
    await page.locator('#key-encoded').check();
    const purge = page.getByRole('button', { name: 'Purge the key' });
    const asked: string[] = [];
    page.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
    await key(page).fill('..\\cache');
    await purge.click();
    await becomes(watched, 'operated', /^The cache did not hold the key\.$/);
    await key(page).fill('%2e%2E');
    await purge.click();
    await becomes(watched, 'operated', /^Browsers cannot ask for this key; curl can\.$/);
    expect(asked).toEqual(['DELETE /v1/cache/..%5Ccache']);
    await key(page).fill('greeting');
    await purge.click();
    await becomes(watched, 'operated', /^The key is purged/);
    await page.close();
  });

  it('asks for the access token where reads need one, and for no admin token where there is none', async () => {
    const watched = await WatchedPage.open(browser, `${locked.url}/`);
    await watched.page.getByLabel('Access token').waitFor();
    expect(await watched.page.locator('#admin-tools').isHidden()).toBe(true);
    expect(await watched.text('admin-off')).toContain('ADMIN_TOKEN');
    expect(await lookUp(watched, 'greeting')).toBe('401 Unauthorized: A bearer token is required.');
    await watched.page.getByLabel('Access token').fill('reader');
    expect(await lookUp(watched, 'greeting')).toBe('200 OK, 16 B');
    await ask(locked.url, '/get/greeting', { headers: { authorization: 'Bearer reader' } });
    await becomes(watched, 'reads-note', /^2 over HTTP, 1 over Upstash's REST API$/);
    await watched.page.close();
  });

  it.each(['light', 'dark'] as const)(
    'fits on a phone, whatever it shows, with enough contrast (%s)',
    async (theme) => {
      const watched = await WatchedPage.open(browser, `${proxy.url}/`, { colorScheme: theme, viewport: PHONE });
      await becomes(watched, 'live-text', /^Live$/);
      await watched.page.locator('#admin-tools').waitFor();
      expect(await watched.overflow()).toBe(0);
      await lookUp(watched, 'binary');
      expect(await watched.overflow()).toBe(0);
      expect(await watched.page.evaluate<string[]>(FAINT)).toEqual([]);
      await watched.page.close();
    },
  );

  it('can be used by the keyboard alone, and every field and button has a name', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await page.locator('#admin-tools').waitFor();
    const reached: string[] = [];
    for (let i = 0; i < 9; i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate<string>('document.activeElement.id || document.activeElement.textContent'));
    }
    expect(reached).toEqual([
      ...['API', 'Metrics', 'key', 'key-encoded', 'anew', 'Look up', 'admin-token', 'purge', 'flush'],
    ]);
    const unnamed = await page.evaluate<string[]>(
      `[...document.querySelectorAll('input')].filter((field) => field.labels.length === 0).map(({ id }) => id)`,
    );
    expect(unnamed).toEqual([]);
    // What changes each second is not read out.
    const read = await page.evaluate<string[]>(
      `[...document.querySelectorAll('[role=status], [aria-live]')].map(({ textContent }) => textContent.trim())`,
    );
    expect(read).toEqual(['', '', expect.stringMatching(/^Nothing was asked yet\.$/)]);
    await page.close();
  });

  it('says so when the proxy is gone, and goes on when it is back', async () => {
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, HTTP_PORT: await freePort() };
    const first = (own = await TestProxy.start(settings));
    const watched = await WatchedPage.open(browser, `${first.url}/`);
    await becomes(watched, 'live-text', /^Live$/);
    expect(await first.stop()).toBe(0);
    await becomes(watched, 'live-text', /^No news for \d+ s$/);
    expect(await watched.text('announcements')).toBe('There is no news of the proxy.');
    for (const id of ['redis', 'circuit', 'coherence', 'threads', 'connections']) {
      expect([id, await watched.text(`${id}-state`)]).toEqual([id, 'unknown']);
    }
    expect(await watched.text('redis-meaning')).toBe('was connected');
    own = await TestProxy.start(settings);
    await becomes(watched, 'live-text', /^Live$/);
    await watched.page.close();
  });
});

/** Texts whose contrast with what is behind them is below 4.5 to 1 (WCAG 2, 1.4.3). */
const FAINT = `
  (() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const luminance = (colour) => {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let at = element; at !== null; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (!/, 0\\)$/.test(backgroundColor)) return backgroundColor;
      }
      return 'white';
    };
    const texts = [...document.querySelectorAll('body *')].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== ''),
    );
    return texts.flatMap((element) => {
      if (!element.checkVisibility()) return [];
      const [a, b] = [getComputedStyle(element).color, behind(element)].map(luminance);
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return contrast < 4.5 ? [element.textContent.trim().slice(0, 40) + ': ' + contrast.toFixed(2)] : [];
    });
  })()`;
