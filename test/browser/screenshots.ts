// Takes the screenshots of README. `npm run screenshots -- <folder>` takes them in all themes and widths, for review.
import { mkdirSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { CHROMIUM, launchChromium } from '../support/chromium.ts';
import { seedDemoKeys } from '../support/documentation.ts';
import { sendRequest } from '../support/http-client.ts';
import { TestProxy } from '../support/proxy.ts';
import { seeded } from '../support/random.ts';
import { TestRedis } from '../support/redis.ts';

const README_IMAGES = new URL('../../docs/images', import.meta.url).pathname;
const TRAFFIC_MS = 75_000;
const KEYS = 3000;
const CLIENTS = 12;
// Swagger UI shows text/plain inline; other types are a download.
const SETTINGS = {
  HTTP_CONTENT_TYPE: 'text/plain',
  CACHE_CAPACITY: 1000,
  CACHE_MAX_BYTES: 1_048_576,
  CACHE_TTL_MS: 15_000,
  CACHE_STALE_WHILE_REVALIDATE_MS: 30_000,
  CACHE_PURGE_CHANNEL: 'purges',
  PROXY_THREADS: 2,
};
const DESKTOP = { width: 1280, height: 1000 };
const PHONE = { width: 390, height: 844 };

interface View {
  readonly name: string;
  readonly theme: 'light' | 'dark';
  readonly size: { readonly width: number; readonly height: number };
}

if (CHROMIUM === undefined) {
  console.error('Chromium is required: apt-get install chromium');
  process.exit(1);
}
const [folder] = process.argv.slice(2);
const views: readonly View[] =
  folder === undefined
    ? [{ name: '', theme: 'light', size: DESKTOP }]
    : (['light', 'dark'] as const).flatMap((theme) => [
        { name: `-${theme}`, theme, size: DESKTOP },
        { name: `-phone-${theme}`, theme, size: PHONE },
      ]);
await takeScreenshots(folder ?? README_IMAGES, views);

async function takeScreenshots(into: string, wanted: readonly View[]): Promise<void> {
  mkdirSync(into, { recursive: true });
  const redis = await TestRedis.start();
  const proxy = await TestProxy.start({ ...SETTINGS, REDIS_URL: redis.url, ADMIN_TOKEN: 'admin' });
  const browser = await launchChromium();
  try {
    await seedDemoKeys(redis.client);
    await seedTraffic(redis);
    const pages = await Promise.all(wanted.map((view) => open(browser, view, `${proxy.url}/`)));
    await traffic(proxy, TRAFFIC_MS);
    for (const [i, view] of wanted.entries()) {
      await lookUp(pages[i], 'greeting');
      await showHotKeys(pages[i]);
      await pages[i].screenshot({ path: join(into, `dashboard${view.name}.png`), fullPage: true });
    }
    for (const view of wanted) await takeApi(browser, view, proxy, into);
  } finally {
    await browser.close();
    await proxy.stop();
    await redis.stop();
  }
}

async function open(browser: Browser, { theme, size }: View, url: string): Promise<Page> {
  const page = await browser.newPage({ colorScheme: theme, viewport: { ...size } });
  await page.goto(url);
  return page;
}

async function lookUp(page: Page, key: string): Promise<void> {
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Look up' }).click();
  await page.getByRole('region', { name: 'Value' }).waitFor();
  await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
}

async function showHotKeys(page: Page): Promise<void> {
  const token = page.getByLabel('Admin token');
  await token.fill('admin');
  await token.blur();
  await page.locator('#hot-keys-rows tr').first().waitFor();
  await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
}

async function takeApi(browser: Browser, view: View, proxy: TestProxy, into: string): Promise<void> {
  const page = await open(browser, view, `${proxy.url}/docs`);
  await page.locator('#operations-keys-getValue .opblock-summary-control').click();
  await page.getByRole('button', { name: 'Execute' }).first().click();
  await page.locator('.live-responses-table').waitFor();
  await page.setViewportSize({ width: view.size.width, height: 1800 });
  await page.evaluate(`document.getElementById('operations-keys-getValue').scrollIntoView()`);
  await page.screenshot({ path: join(into, `api${view.name}.png`) });
}

async function seedTraffic(redis: TestRedis): Promise<void> {
  const pairs = Array.from({ length: KEYS }, (_, i) => [`page:${i}`, 'x'.repeat(100 + (i % 900))]);
  await redis.client.mset(...pairs.flat());
}

/** Clients that read some keys much more often than others, at a varying rate. */
async function traffic(proxy: TestProxy, ms: number): Promise<void> {
  const end = Date.now() + ms;
  const random = seeded(1);
  const clients = Array.from({ length: CLIENTS }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (Date.now() < end) {
      const key = random(100) < 2 ? 'nobody' : `page:${Math.floor(KEYS * (random(1e6) / 1e6) ** 6)}`;
      await sendRequest(proxy.url, `/v1/keys/${key}`, { agent });
      await delay(8 + 6 * Math.sin(Date.now() / 9000) + random(4));
    }
    agent.destroy();
  });
  await Promise.all(clients);
}
