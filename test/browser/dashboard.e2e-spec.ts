import { Agent } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, Locator, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { sendRequest } from '../support/http-client.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { WatchedPage, describeInBrowser } from '../support/watched-page.ts';

const PHONE = { width: 360, height: 780 };
const HITS = 300;

describeInBrowser('dashboard in a browser', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let withAccessToken: TestProxy;
  /** A proxy started by a single test. */
  let own: TestProxy | undefined;
  let browser: Browser;

  beforeAll(async () => {
    redis = await TestRedis.start();
    const settings = { REDIS_URL: redis.url };
    [proxy, withAccessToken, browser] = await Promise.all([
      TestProxy.start({ ...settings, ADMIN_TOKEN: 'admin', PROXY_THREADS: 2 }),
      TestProxy.start({ ...settings, ACCESS_TOKEN: 'reader' }),
      launchChromium(),
    ]);
  });
  beforeEach(() => seedDemoKeys(redis.client));
  afterAll(async () => {
    await browser?.close();
    await Promise.all([proxy?.stop(), withAccessToken?.stop(), own?.stop()]);
    await redis?.stop();
  });

  const key = (page: Page): Locator => page.getByLabel('Key', { exact: true });

  /** Types a key, presses Enter, and returns the summary of the result. */
  async function lookUp({ page }: WatchedPage, name: string): Promise<string> {
    const summary = page.locator('#result-summary');
    const before = await summary.textContent();
    await key(page).fill(name);
    const [response] = await Promise.all([
      page.waitForResponse((received) => received.url().includes('/v1/keys/')),
      key(page).press('Enter'),
    ]);
    return until('the page shows the result', async () => {
      const text = (await summary.textContent()) ?? '';
      return text.startsWith(String(response.status())) && text !== before ? text : undefined;
    });
  }

  const untilText = (watched: WatchedPage, id: string, text: RegExp): Promise<true> =>
    until(`#${id} matches ${text}`, async () => (text.test(await watched.text(id)) ? true : undefined));

  it('loads from the proxy only, logs no errors, and shows the traffic of all threads', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    await untilText(watched, 'live-text', /^Live$/);
    await untilText(watched, 'redis-state', /^connected$/);
    await untilText(watched, 'coherence-state', /^ttl$/);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    await sendRequest(proxy.url, '/v1/keys/greeting', { agent });
    await Promise.all(Array.from({ length: HITS }, () => sendRequest(proxy.url, '/v1/keys/greeting', { agent })));
    agent.destroy();
    await untilText(watched, 'reads-note', new RegExp(`^${HITS + 1} over HTTP$`));
    await untilText(watched, 'entries', /^1$/);
    const row = watched.page.locator('#chart-reads tbody tr', { hasText: 'hits' });
    expect(Number((await row.locator('td').last().textContent())?.replace(',', ''))).toBeGreaterThan(0);
    expect(await watched.text('ratio-note')).toMatch(/^9\d\.\d % since the start$/);
    expect(watched.errors).toEqual([]);
    expect([...watched.origins]).toEqual([proxy.url]);
    await watched.page.close();
  });

  it('looks up keys: value, headers, and an explanation of Cache-Status', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    expect(await lookUp(watched, 'café/menu')).toBe('200 OK, 22 B');
    expect(await watched.text('result-explanation')).toMatch(/^Not cached\. Loaded from Redis and cached\.$/);
    expect(await watched.text('value')).toBe('crème brûlée, 7 €');
    const headers = page.getByRole('table', { name: 'Headers' });
    expect(await headers.getByRole('row', { name: 'cache-status' }).textContent()).toContain('fwd=uri-miss; stored');
    // The request bypasses the browser's cache, but not the proxy's.
    await page.getByRole('button', { name: 'Look up' }).click();
    await untilText(watched, 'result-explanation', /^Served from the cache\. Expires in \d\d seconds\.$/);
    await page.getByLabel('Bypass the cache').check();
    await page.getByRole('button', { name: 'Look up' }).click();
    await untilText(watched, 'result-explanation', /^The request asked for a fresh value\./);
    expect(watched.errors).toEqual([]);
    await page.close();
  });

  it('shows binary values in hex, empty values as empty, and the start of long values', async () => {
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
    expect(await watched.text('value-note')).toBe('Empty value (0 bytes).');
    expect(await lookUp(watched, 'long')).toBe('200 OK, 97.7 KiB');
    expect(await watched.text('value')).toBe(long.slice(0, 65_536));
    expect(await watched.text('value-note')).toBe('First 64 KiB of 97.7 KiB.');
    await watched.page.close();
  });

  it('shows keys of other types by the resource of their type', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    await redis.client.sadd('a/b', 'member');
    for (const [name, summary, value] of [
      ['queue', '200 OK, 18 B (list)', '["first","second"]'],
      ['product:7', '200 OK, 43 B (hash)', '{"name":"Analytical Engine","price":"1837"}'],
      ['a/b', '200 OK, 10 B (set)', '["member"]'],
    ]) {
      await key(watched.page).fill(name);
      await key(watched.page).press('Enter');
      await until(
        `the page shows ${name}`,
        async () => (await watched.text('result-summary')) === summary || undefined,
      );
      expect(await watched.text('value')).toBe(value);
    }
    await watched.page.close();
  });

  it('shows the detail of error responses', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    expect(await lookUp(watched, 'nobody')).toBe('404 Not Found: Redis has no such key.');
    await redis.client.xadd('events', '*', 'name', 'value');
    expect(await lookUp(watched, 'events')).toBe(
      '409 Conflict: The value stored at this key is a stream, which is read over the Redis protocol only.',
    );
    expect(await watched.page.locator('#result-value').isHidden()).toBe(true);
    await key(watched.page).fill('');
    await key(watched.page).press('Enter');
    await untilText(watched, 'result-summary', /^Enter a key\.$/);
    await watched.page.close();
  });

  it('purges and flushes with the admin token, which is not stored', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await lookUp(watched, 'greeting');
    const purge = page.getByRole('button', { name: 'Purge key' });
    await page.locator('#admin-tools').waitFor();
    await purge.click();
    await untilText(watched, 'admin-result', /^Admin token required\.$/);
    const token = page.getByLabel('Admin token');
    await token.fill('wrong');
    await purge.click();
    await untilText(watched, 'admin-result', /^A valid admin token is required\.$/);
    await token.fill('admin');
    await purge.click();
    await untilText(watched, 'admin-result', /^Key purged\.$/);
    await purge.click();
    await untilText(watched, 'admin-result', /^The key was not cached\.$/);
    await page.getByRole('button', { name: 'Look up' }).click();
    await untilText(watched, 'result-explanation', /^Not cached\. Loaded from Redis and cached\.$/);
    await page.getByRole('button', { name: 'Flush cache' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Flush' }).click();
    await untilText(watched, 'admin-result', /^Cache flushed: \d+ entr/);
    await untilText(watched, 'entries', /^0$/);
    expect(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]')).toEqual(['', 0, 0]);
    await page.reload();
    await page.locator('#admin-tools').waitFor();
    expect(await token.inputValue()).toBe('');
    await page.close();
  });

  it('shows the most read keys while it has the admin token', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    const binary = Buffer.from([0xff, 0xfe]);
    for (let i = 0; i < HITS; i++) await proxy.key(i % 3 === 0 ? binary : 'greeting');
    const rows = (): Promise<string[]> => page.locator('#hot-keys-rows tr').allTextContents();
    await untilText(watched, 'hot-keys-note', /^Enter the admin token to see them\.$/);
    const token = page.getByLabel('Admin token');
    await token.fill('wrong');
    await token.press('Tab');
    await untilText(watched, 'hot-keys-note', /^A valid admin token is required\.$/);
    expect(await rows()).toEqual([]);
    await token.fill('admin');
    await token.press('Tab');
    await untilText(watched, 'hot-keys-note', /^Last \d+ s\.$/);
    const [first, second] = await rows();
    expect(first).toMatch(/^greeting[\d.]+\/s/);
    expect(second).toMatch(/^base64: \/\/4=[\d.]+\/s/);
    await token.fill('');
    await token.press('Tab');
    await untilText(watched, 'hot-keys-note', /^Enter the admin token/);
    expect(await rows()).toEqual([]);
    await page.close();
  });

  it('purges by prefix and by pattern, after a confirmation that shows them', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await redis.client.mset('batch:1', 'a', 'batch:2', 'b', 'batch+3', 'c');
    for (const name of ['batch:1', 'batch:2', 'batch+3']) await proxy.key(name);
    await page.locator('#admin-tools').waitFor();
    await page.getByLabel('Admin token').fill('admin');
    const [prefix, pattern] = ['prefix', 'pattern'].map((name) =>
      page.getByRole('button', { name: `Purge as ${name}` }),
    );
    const dialog = page.getByRole('dialog');
    await key(page).fill('');
    await prefix.click();
    await untilText(watched, 'admin-result', /^Enter a prefix in the field for the key\.$/);
    await key(page).fill('batch:');
    await prefix.click();
    expect(await dialog.textContent()).toMatch(/all keys that begin with the prefix batch: are removed/);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    expect((await proxy.stats()).entries).toBeGreaterThanOrEqual(3);
    await prefix.click();
    await dialog.getByRole('button', { name: 'Purge' }).click();
    await untilText(watched, 'admin-result', /^2 entries purged\.$/);
    await key(page).fill('b*+[0-9]');
    await pattern.click();
    expect(await dialog.textContent()).toMatch(/all keys that match the pattern b\*\+\[0-9\] are removed/);
    await dialog.getByRole('button', { name: 'Purge' }).click();
    await untilText(watched, 'admin-result', /^1 entry purged\.$/);
    await key(page).fill('[a');
    await pattern.click();
    await dialog.getByRole('button', { name: 'Purge' }).click();
    await untilText(watched, 'admin-result', /^The pattern is invalid: /);
    await page.close();
  });

  it('purges no other path, whatever is typed', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await lookUp(watched, 'greeting');
    await page.locator('#admin-tools').waitFor();
    await page.getByLabel('Admin token').fill('admin');
    await page.locator('#key-encoded').check();
    const purge = page.getByRole('button', { name: 'Purge key' });
    const requests: string[] = [];
    page.on('request', (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
    await key(page).fill('..\\cache');
    await purge.click();
    await untilText(watched, 'admin-result', /^The key was not cached\.$/);
    await key(page).fill('%2e%2E');
    await purge.click();
    await untilText(watched, 'admin-result', /^Browsers cannot request this key; use curl\.$/);
    expect(requests).toEqual(['DELETE /v1/cache/..%5Ccache']);
    await key(page).fill('greeting');
    await purge.click();
    await untilText(watched, 'admin-result', /^Key purged\.$/);
    await page.close();
  });

  it('shows the fields for tokens only if the proxy uses these tokens', async () => {
    const watched = await WatchedPage.open(browser, `${withAccessToken.url}/`);
    await watched.page.getByLabel('Access token').waitFor();
    expect(await watched.page.locator('#admin-tools').isHidden()).toBe(true);
    expect(await watched.page.locator('#hot-keys').isHidden()).toBe(true);
    expect(await watched.text('admin-off')).toContain('ADMIN_TOKEN');
    expect(await lookUp(watched, 'greeting')).toBe('401 Unauthorized: A bearer token is required.');
    await watched.page.getByLabel('Access token').fill('reader');
    expect(await lookUp(watched, 'greeting')).toBe('200 OK, 16 B');
    await sendRequest(withAccessToken.url, '/get/greeting', { headers: { authorization: 'Bearer reader' } });
    await untilText(watched, 'reads-note', /^2 over HTTP, 1 over Upstash's REST API$/);
    await watched.page.close();
  });

  it.each(['light', 'dark'] as const)('fits on a phone, with sufficient contrast (%s)', async (theme) => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`, { colorScheme: theme, viewport: PHONE });
    await untilText(watched, 'live-text', /^Live$/);
    await watched.page.locator('#admin-tools').waitFor();
    expect(await watched.overflow()).toBe(0);
    await lookUp(watched, 'binary');
    expect(await watched.overflow()).toBe(0);
    expect(await watched.page.evaluate<string[]>(LOW_CONTRAST)).toEqual([]);
    await watched.page.close();
  });

  it('is usable with the keyboard only, and names every field and button', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/`);
    const { page } = watched;
    await page.locator('#admin-tools').waitFor();
    const reached: string[] = [];
    for (let i = 0; i < 11; i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate<string>('document.activeElement.id || document.activeElement.textContent'));
    }
    expect(reached).toEqual([
      ...['API', 'Metrics', 'key', 'key-encoded', 'bypass-cache', 'Look up', 'admin-token', 'purge'],
      ...['purge-prefix', 'purge-pattern', 'flush'],
    ]);
    const unnamed = await page.evaluate<string[]>(
      `[...document.querySelectorAll('input')].filter((field) => field.labels.length === 0).map(({ id }) => id)`,
    );
    expect(unnamed).toEqual([]);
    // What changes each second is not read out.
    const read = await page.evaluate<string[]>(
      `[...document.querySelectorAll('[role=status], [aria-live]')].map(({ textContent }) => textContent.trim())`,
    );
    expect(read).toEqual(['', '', expect.stringMatching(/^No lookup yet$/)]);
    await page.close();
  });

  it('shows a lost connection, and reconnects', async () => {
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, HTTP_PORT: await freePort() };
    const first = (own = await TestProxy.start(settings));
    const watched = await WatchedPage.open(browser, `${first.url}/`);
    await untilText(watched, 'live-text', /^Live$/);
    expect(await first.stop()).toBe(0);
    await untilText(watched, 'live-text', /^Connection lost \d+ s ago$/);
    expect(await watched.text('announcements')).toBe('Lost connection to the proxy.');
    for (const id of ['redis', 'circuit', 'coherence', 'threads', 'connections']) {
      expect([id, await watched.text(`${id}-state`)]).toEqual([id, 'unknown']);
    }
    expect(await watched.text('redis-meaning')).toBe('was connected');
    own = await TestProxy.start(settings);
    await untilText(watched, 'live-text', /^Live$/);
    await watched.page.close();
  });
});

/** Script that returns the texts with a contrast ratio below 4.5 to 1 (WCAG 2, 1.4.3). */
const LOW_CONTRAST = `
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
    const backgroundOf = (element) => {
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
      const [a, b] = [getComputedStyle(element).color, backgroundOf(element)].map(luminance);
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return contrast < 4.5 ? [element.textContent.trim().slice(0, 40) + ': ' + contrast.toFixed(2)] : [];
    });
  })()`;
