import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { WatchedPage, describeInBrowser } from '../support/watched-page.ts';

describeInBrowser('the page of the API, in a browser', () => {
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

  it('loads from the proxy alone, and reads a key when one tries it out as it is', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/docs`);
    const { page } = watched;
    const operation = page.locator('#operations-keys-getValue');
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table .response');
    await answer.waitFor();
    expect(await answer.locator('.response-col_status').innerText()).toContain('200');
    expect(await answer.locator('.response-col_description').innerText()).toMatch(
      /hello from redis[^]*cache-status: redis-http-cache-proxy; fwd=uri-miss; stored/,
    );
    expect(watched.complaints).toEqual([]);
    expect([...watched.origins]).toEqual([proxy.url]);
    await page.close();
  });

  it('fits on a phone, with an operation opened', async () => {
    const watched = await WatchedPage.open(browser, `${proxy.url}/docs`, { viewport: { width: 390, height: 844 } });
    await watched.page.locator('#operations-keys-getValue .opblock-summary-control').click();
    await watched.page.getByRole('button', { name: 'Execute' }).waitFor();
    expect(await watched.overflow()).toBe(0);
    await watched.page.close();
  });
});
