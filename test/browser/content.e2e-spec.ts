import zlib from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { describeInBrowser } from '../support/watched-page.ts';

const HTML = `<!doctype html><meta charset="utf-8"><title>Menu</title><h1>Crème brûlée</h1>
  <script>document.title = 'changed by a script';</script>${'<p>A dessert.</p>'.repeat(100)}`;
const DOCUMENT = { name: 'Ada Lovelace', languages: ['en', 'fr'], notes: 'text '.repeat(500) };

describeInBrowser('Values in a browser', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let browser: Browser;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('page:gzip', zlib.gzipSync(HTML));
    await redis.client.set('page:plain', HTML);
    await redis.client.set('user:42', JSON.stringify(DOCUMENT));
    [proxy, browser] = await Promise.all([
      TestProxy.start({
        REDIS_URL: redis.url,
        HTTP_CONTENT_TYPES: 'page:*=text/html; charset=utf-8,user:*=application/json',
        HTTP_CONTENT_ENCODINGS: 'page:gzip=gzip',
        HTTP_COMPRESSION: 'gzip',
      }),
      launchChromium(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await proxy?.stop();
    await redis?.stop();
  });

  async function show(key: string) {
    const page = await browser.newPage();
    const response = await page.goto(`${proxy.url}/v1/keys/${key}`);
    const shown = {
      status: response?.status(),
      type: await response?.headerValue('content-type'),
      coding: await response?.headerValue('content-encoding'),
      title: await page.title(),
      text: await page.locator('body').innerText(),
      origin: await page.evaluate(() => (globalThis as unknown as { origin: string }).origin).catch(() => undefined),
    };
    await page.close();
    return shown;
  }

  // The second time both are hits.
  it.each([
    ['page:gzip', 'gzip'],
    ['page:plain', 'gzip'],
    ['page:gzip', 'gzip'],
    ['page:plain', 'gzip'],
  ])('an HTML page is shown, in a sandbox without scripts: %s', async (key, coding) => {
    expect(await show(key)).toMatchObject({
      status: 200,
      type: 'text/html; charset=utf-8',
      coding,
      title: 'Menu',
      text: expect.stringMatching(/^Crème brûlée\s+A dessert\./),
      origin: 'null',
    });
  });

  it.each([1, 2])('a JSON document is shown as JSON', async () => {
    const { status, type, coding, text } = await show('user:42');
    expect([status, type, coding, JSON.parse(text)]).toEqual([200, 'application/json', 'gzip', DOCUMENT]);
  });

  it('is looked up on the dashboard: its size as it was sent, and the decompressed text', async () => {
    const page = await browser.newPage();
    await page.goto(`${proxy.url}/`);
    await page.getByLabel('Key', { exact: true }).fill('page:gzip');
    await page.getByLabel('Key', { exact: true }).press('Enter');
    const bytes = zlib.gzipSync(HTML).length;
    await page.getByText(`200 OK, ${bytes} B as gzip`).waitFor();
    expect(await page.locator('#value').textContent()).toBe(HTML);
    expect(await page.locator('#value-note').textContent()).toBe('');
    await page.close();
  });
});
