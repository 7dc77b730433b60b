import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const MAX_SUBSCRIBERS = 64;

/** An open event stream. */
class EventStreamClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly #response: IncomingMessage;
  received = '';
  ended = false;

  private constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.#response = response;
    response.setEncoding('utf8').on('data', (text: string) => (this.received += text));
    response.on('end', () => (this.ended = true)).on('error', () => undefined);
  }

  static async to({ url }: TestProxy): Promise<EventStreamClient> {
    const sent = request(`${url}/dashboard/events`, { agent: false }).end();
    sent.on('error', () => undefined);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return new EventStreamClient(response);
  }

  get snapshots(): Record<string, Record<string, unknown>>[] {
    const events = [...this.received.matchAll(/^data: (.*)\n\n/gm)];
    return events.map(([, data]) => JSON.parse(data) as Record<string, Record<string, unknown>>);
  }

  close(): void {
    this.#response.destroy();
  }
}

describeOwn('dashboard', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  /** A proxy started by a single test. */
  let own: TestProxy | undefined;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('secret-key', 'secret-value');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, ACCESS_TOKEN: 'reader' });
  });
  afterEach(async () => {
    await own?.stop();
    own = undefined;
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const connections = async (): Promise<number> =>
    Number(/^redis_http_cache_proxy_connections (\d+)$/m.exec((await proxy.get('/metrics')).text)?.[1]);

  describe('page', () => {
    it('loads its files from the proxy only, without inline scripts or styles', async () => {
      const { status, headers, text } = await proxy.get('/');
      expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
      const policy = String(headers['content-security-policy']);
      expect(policy).toMatch(/^default-src 'none';script-src 'self';style-src 'self';/);
      expect(policy).not.toContain('unsafe');
      expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' });
      expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
      const names = [...text.matchAll(/(?:src|href)="(dashboard\/[^"]+)"/g)].map(([, name]) => name);
      expect(names).toEqual(expect.arrayContaining(['dashboard/app.js', 'dashboard/style.css', 'dashboard/uplot.js']));
      for (const name of names) {
        const file = await proxy.get(`/${name}`);
        expect([name, file.status, file.headers['x-content-type-options']]).toEqual([name, 200, 'nosniff']);
        expect(file.headers['content-type']).toMatch(/^(?:text\/(?:css|javascript)|image\/svg)/);
      }
    });

    it('responds 304 to a matching If-None-Match, and to HEAD without a body', async () => {
      for (const path of ['/', '/dashboard/app.js', '/dashboard/uplot.js']) {
        const first = await proxy.get(path);
        expect(first.headers['cache-control']).toBe('no-cache');
        const conditional = await proxy.get(path, { 'if-none-match': String(first.headers.etag) });
        expect([conditional.status, conditional.body.length]).toEqual([304, 0]);
        const head = await proxy.request(path, { method: 'HEAD' });
        expect([head.status, head.body.length]).toEqual([200, 0]);
        expect(head.headers['content-length']).toBe(String(first.body.length));
      }
    });

    it('responds 404 to other paths and 405 to other methods', async () => {
      for (const path of ['/dashboard', '/dashboard/', '/dashboard/nothing.js', '/dashboard/..%2f..%2fpackage.json']) {
        expect([path, (await proxy.get(path)).status]).toEqual([path, 404]);
      }
      for (const path of ['/', '/dashboard/app.js', '/dashboard/events']) {
        const { status, json, headers } = await proxy.request(path, { method: 'DELETE' });
        expect([path, status, json.code]).toEqual([path, 405, 'method-not-allowed']);
        // POST is a command of Upstash's REST API.
        expect(headers.allow).toBe(path === '/' ? 'GET, HEAD, POST' : 'GET, HEAD');
      }
    });
  });

  describe('event stream', () => {
    it('sends metrics of all threads, without keys or values', async () => {
      const client = await EventStreamClient.to(proxy);
      expect([client.status, client.headers['content-type']]).toEqual([200, 'text/event-stream']);
      expect(client.headers['cache-control']).toBe('no-store');
      for (let i = 0; i < 20; i++) await proxy.key('secret-key', { authorization: 'Bearer reader' });
      await until('the reads are counted', () => {
        const { reads } = client.snapshots.at(-1) ?? {};
        const http = reads?.http as Record<string, number> | undefined;
        return (http !== undefined && http.hit + http.miss === 20) || undefined;
      });
      const snapshot = client.snapshots.at(-1);
      expect(snapshot).toMatchObject({
        cache: { entries: 1, capacity: 10_000 },
        redis: { connected: 2, circuits: { closed: 2 } },
        coherence: { state: 'ttl' },
        threads: { count: 2, restarts: 0 },
        auth: { tokenRequired: true, adminEnabled: false },
      });
      expect(client.received).not.toContain('secret');
      expect(client.received).not.toContain('reader');
      client.close();
    });

    it('releases the connection when the client disconnects', async () => {
      // The request for the metrics counts as one. Earlier connections may be closed some time after their clients.
      const alone = (): Promise<true> =>
        until('no other client is connected', async () => ((await connections()) === 1 ? true : undefined));
      await alone();
      const all = await Promise.all(Array.from({ length: 20 }, () => EventStreamClient.to(proxy)));
      expect(await connections()).toBeGreaterThanOrEqual(1 + 20);
      for (const each of all) each.close();
      await alone();
    });

    it('responds 503 at the limit of subscribers, and 200 after one has disconnected', async () => {
      const single = (own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 }));
      const all = await Promise.all(Array.from({ length: MAX_SUBSCRIBERS }, () => EventStreamClient.to(single)));
      expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
      const { status, headers, json } = await single.get('/dashboard/events');
      expect([status, json.code, headers['retry-after']]).toEqual([503, 'overloaded', '5']);
      all[0].close();
      const next = await until('a subscriber is accepted', async () => {
        const attempt = await EventStreamClient.to(single);
        return attempt.status === 200 ? attempt : undefined;
      });
      await until(
        'the others receive events',
        () => (all[1].snapshots.length > 1 && next.snapshots.length > 0) || undefined,
      );
      expect(await single.stop()).toBe(0);
      await until('all streams have ended', () => all.slice(1).every(({ ended }) => ended) || undefined);
    });

    it('ends on shutdown', async () => {
      const ending = (own = await TestProxy.start({
        REDIS_URL: redis.url,
        PROXY_THREADS: 1,
        SHUTDOWN_GRACE_MS: 30_000,
      }));
      const client = await EventStreamClient.to(ending);
      await until('an event arrives', () => (client.snapshots.length > 0 ? true : undefined));
      expect(await ending.stop()).toBe(0);
      await until('the stream has ended', () => (client.ended ? true : undefined));
    });

    it('stays open in sequential mode without blocking other requests', async () => {
      const sequential = (own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_MODE: 'sequential' }));
      const client = await EventStreamClient.to(sequential);
      for (const count of [1, 2]) {
        await until('an event arrives', () => client.snapshots.length >= count || undefined);
        expect((await sequential.key('nobody')).status).toBe(404);
      }
      expect(client.ended).toBe(false);
    });

    it('responds to HEAD without subscribing', async () => {
      const { status, body, headers } = await proxy.request('/dashboard/events', { method: 'HEAD' });
      expect([status, body.length, headers['content-type']]).toEqual([200, 0, 'text/event-stream']);
    });
  });
});
