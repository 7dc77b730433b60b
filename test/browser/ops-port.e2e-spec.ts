import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { FrontEnd, documentedConfiguration, isInstalled } from '../support/front-ends.ts';
import { PrefixProxy } from '../support/prefix-proxy.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { WatchedPage, describeInBrowser } from '../support/watched-page.ts';

interface Served {
  /** Where the pages are; ends without a slash. */
  readonly url: string;
  stop?(): Promise<void>;
}

describeInBrowser('pages of the ops listener in a browser', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let browser: Browser;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await seedDemoKeys(redis.client);
    [proxy, browser] = await Promise.all([
      TestProxy.start({
        ...{ REDIS_URL: redis.url, OPS_PORT: 0, ACCESS_TOKEN: 'reader', ADMIN_TOKEN: 'admin' },
        // The API page shows no values of unknown types.
        HTTP_CONTENT_TYPE: 'text/plain',
      }),
      launchChromium(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await proxy?.stop();
    await redis?.stop();
  });

  const itReads = (start: () => Promise<Served>): void => {
    let served: Served;
    beforeAll(async () => {
      served = await start();
    });
    afterAll(() => served?.stop?.());

    it('the dashboard looks up, purges and shows the traffic through the same address', async () => {
      const watched = await WatchedPage.open(browser, `${served.url}/`);
      const { page } = watched;
      const shows = (id: string, text: RegExp): Promise<true> =>
        until(`#${id} matches ${text}`, async () => (text.test(await watched.text(id)) ? true : undefined));
      await shows('live-text', /^Live$/);
      await page.getByLabel('Access token').fill('reader');
      for (const [key, summary] of [
        ['café/menu', /^200 OK, 22 B$/],
        ['product:7', /^200 OK, 43 B \(hash\)$/],
        ['100%//x', /^404 Not Found: Redis has no such key\.$/],
      ] as const) {
        await page.getByLabel('Key', { exact: true }).fill(key);
        await page.getByRole('button', { name: 'Look up' }).click();
        await shows('result-summary', summary);
      }
      await page.getByLabel('Key', { exact: true }).fill('café/menu');
      await page.getByLabel('Admin token').fill('admin');
      await page.getByRole('button', { name: 'Purge key' }).click();
      await shows('admin-result', /^Key purged\.$/);
      // Browsers log responses with an error status.
      expect(watched.errors.filter((text) => !text.includes('409') && !text.includes('404'))).toEqual([]);
      expect([...watched.origins]).toEqual([new URL(served.url).origin]);
      await page.close();
    });

    it('the API page executes reads, commands and requests for operators', async () => {
      const watched = await WatchedPage.open(browser, `${served.url}/docs`);
      const { page } = watched;
      await page.getByRole('button', { name: 'Authorize' }).first().click();
      for (const [scheme, token] of [
        ['accessToken (http, Bearer)', 'reader'],
        ['adminToken (http, Bearer)', 'admin'],
      ]) {
        const form = page.locator('.auth-container', { hasText: scheme });
        await form.locator('input').fill(token);
        await form.getByRole('button', { name: 'Apply credentials' }).click();
      }
      await page.locator('.close-modal').click();
      for (const [operationId, url, body] of [
        ['keys-getValue', '/lookup/v1/keys/greeting', 'hello from redis'],
        ['upstash-runCommand', '/lookup/', 'result'],
        ['admin-getStats', '/v1/cache', 'hitRatio'],
      ]) {
        const operation = page.locator(`#operations-${operationId}`);
        await operation.locator('.opblock-summary-control').click();
        await operation.getByRole('button', { name: 'Execute' }).click();
        const response = operation.locator('.live-responses-table .response');
        await response.waitFor();
        expect([operationId, await response.locator('.response-col_status').innerText()]).toEqual([
          operationId,
          expect.stringContaining('200'),
        ]);
        expect((await operation.locator('.request-url pre').innerText()).trim()).toBe(`${served.url}${url}`);
        await response.getByText(body).first().waitFor();
      }
      expect(watched.errors).toEqual([]);
      expect([...watched.origins]).toEqual([new URL(served.url).origin]);
      await page.close();
    });
  };

  describe('at their own address', () => itReads(() => Promise.resolve({ url: proxy.opsUrl })));

  describe(`behind ${isInstalled('nginx') ? 'nginx' : 'a front end that strips a path prefix'}`, () => {
    itReads(async () => {
      if (!isInstalled('nginx')) return PrefixProxy.start('/some/cache', proxy.opsUrl);
      const nginx = await FrontEnd.start('nginx', documentedConfiguration('nginx', proxy.opsUrl));
      return { url: `${nginx.url}/cache`, stop: () => nginx.stop() };
    });
  });
});
