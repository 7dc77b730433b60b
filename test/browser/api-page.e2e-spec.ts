import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { PrefixProxy } from '../support/prefix-proxy.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { WatchedPage, describeInBrowser } from '../support/watched-page.ts';

describeInBrowser('API page in a browser', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let browser: Browser;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await seedDemoKeys(redis.client);
    [proxy, browser] = await Promise.all([
      TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, HTTP_CONTENT_TYPE: 'text/plain' }),
      launchChromium(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await proxy?.stop();
    await redis?.stop();
  });

  /** Executes "Try it out" of the key read unchanged; returns the shown response and the request URL. */
  async function tryOut(page: Page): Promise<{ status: string; description: string; url: string }> {
    const operation = page.locator('#operations-keys-getValue');
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const response = operation.locator('.live-responses-table .response');
    await response.waitFor();
    return {
      status: await response.locator('.response-col_status').innerText(),
      description: await response.locator('.response-col_description').innerText(),
      url: await operation.locator('.request-url pre').innerText(),
    };
  }

  it('loads from the proxy only, and "Try it out" reads a key', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/docs`);
    const { status, description, url } = await tryOut(watched.page);
    expect(status).toContain('200');
    expect(description).toMatch(/hello from redis[^]*cache-status: redis-http-cache-proxy; fwd=uri-miss; stored/);
    expect(url.trim()).toBe(`${proxy.url}/v1/keys/greeting`);
    expect(watched.errors).toEqual([]);
    expect([...watched.origins]).toEqual([proxy.url]);
    await watched.page.close();
  });

  describe('behind a front end that strips a path prefix', () => {
    let prefixProxy: PrefixProxy;
    beforeAll(async () => {
      prefixProxy = await PrefixProxy.start('/some/cache', proxy.url);
    });
    afterAll(() => prefixProxy?.stop());

    it.each(['/docs', '/docs/', '/docs/index.html'])('the page at %s reads a key below that prefix', async (path) => {
      const watched = await WatchedPage.open(browser, `${prefixProxy.url}${path}`);
      const { status, description, url } = await tryOut(watched.page);
      expect(status).toContain('200');
      expect(description).toContain('hello from redis');
      expect(url.trim()).toBe(`${prefixProxy.url}/v1/keys/greeting`);
      expect(watched.errors).toEqual([]);
      expect([...watched.origins]).toEqual([new URL(prefixProxy.url).origin]);
      await watched.page.close();
    });

    it('the server URL of the document, resolved against its own URL, is the proxy', async () => {
      const at = `${prefixProxy.url}/openapi.json`;
      const { servers } = (await (await fetch(at)).json()) as { servers: { url: string }[] };
      expect(servers.map(({ url }) => new URL(url, at).href)).toEqual([`${prefixProxy.url}/`]);
    });
  });

  it('fits on a phone with an open operation', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/docs`, { viewport: { width: 390, height: 844 } });
    await watched.page.locator('#operations-keys-getValue .opblock-summary-control').click();
    await watched.page.getByRole('button', { name: 'Execute' }).waitFor();
    expect(await watched.overflow()).toBe(0);
    await watched.page.close();
  });
});
