import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const MOST_LISTENERS = 64;

/** An open stream of events. */
class Listening {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly #answer: IncomingMessage;
  received = '';
  ended = false;

  private constructor(answer: IncomingMessage) {
    this.status = answer.statusCode ?? 0;
    this.headers = answer.headers;
    this.#answer = answer;
    answer.setEncoding('utf8').on('data', (text: string) => (this.received += text));
    answer.on('end', () => (this.ended = true)).on('error', () => undefined);
  }

  static async to({ url }: TestProxy): Promise<Listening> {
    const sent = request(`${url}/dashboard/events`, { agent: false }).end();
    sent.on('error', () => undefined);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return new Listening(answer);
  }

  get ticks(): Record<string, Record<string, unknown>>[] {
    const events = [...this.received.matchAll(/^data: (.*)\n\n/gm)];
    return events.map(([, tick]) => JSON.parse(tick) as Record<string, Record<string, unknown>>);
  }

  leave(): void {
    this.#answer.destroy();
  }
}

describeOwn('the dashboard', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  /** One that a test has started for itself. */
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

  describe('as a page', () => {
    it('consists of files of the proxy, and runs nothing that stands in it', async () => {
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

    it('is validated rather than sent again, and a HEAD has no body', async () => {
      for (const path of ['/', '/dashboard/app.js', '/dashboard/uplot.js']) {
        const first = await proxy.get(path);
        expect(first.headers['cache-control']).toBe('no-cache');
        const again = await proxy.get(path, { 'if-none-match': String(first.headers.etag) });
        expect([again.status, again.body.length]).toEqual([304, 0]);
        const head = await proxy.ask(path, { method: 'HEAD' });
        expect([head.status, head.body.length]).toEqual([200, 0]);
        expect(head.headers['content-length']).toBe(String(first.body.length));
      }
    });

    it('has nothing else, and is only read', async () => {
      for (const path of ['/dashboard', '/dashboard/', '/dashboard/nothing.js', '/dashboard/..%2f..%2fpackage.json']) {
        expect([path, (await proxy.get(path)).status]).toEqual([path, 404]);
      }
      for (const path of ['/', '/dashboard/app.js', '/dashboard/events']) {
        const { status, json, headers } = await proxy.ask(path, { method: 'DELETE' });
        expect([path, status, json.code]).toEqual([path, 405, 'method-not-allowed']);
        // POST is a command of Upstash's REST API.
        expect(headers.allow).toBe(path === '/' ? 'GET, HEAD, POST' : 'GET, HEAD');
      }
    });
  });

  describe('live', () => {
    it('tells figures of all threads each second, and no key or value', async () => {
      const listening = await Listening.to(proxy);
      expect([listening.status, listening.headers['content-type']]).toEqual([200, 'text/event-stream']);
      expect(listening.headers['cache-control']).toBe('no-store');
      for (let i = 0; i < 20; i++) await proxy.key('secret-key', { authorization: 'Bearer reader' });
      await until('the reads are told', () => {
        const { reads } = listening.ticks.at(-1) ?? {};
        const http = reads?.http as Record<string, number> | undefined;
        return (http !== undefined && http.hit + http.miss === 20) || undefined;
      });
      const tick = listening.ticks.at(-1);
      expect(tick).toMatchObject({
        cache: { entries: 1, capacity: 10_000 },
        redis: { connected: 2, circuits: { closed: 2 } },
        coherence: { state: 'ttl' },
        threads: { count: 2, restarts: 0 },
        doors: { readsNeedToken: true, admin: false },
      });
      expect(listening.received).not.toContain('secret');
      expect(listening.received).not.toContain('reader');
      listening.leave();
    });

    it('forgets who has gone, and gives back the connection', async () => {
      // The question is one as well. Those before it may end after their clients have gone.
      const alone = (): Promise<true> =>
        until('nobody else is connected', async () => ((await connections()) === 1 ? true : undefined));
      await alone();
      const all = await Promise.all(Array.from({ length: 20 }, () => Listening.to(proxy)));
      expect(await connections()).toBeGreaterThanOrEqual(1 + 20);
      for (const each of all) each.leave();
      await alone();
    });

    it('has a bound, beyond which one is told to come back later, and room again when somebody has gone', async () => {
      const single = (own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 }));
      const all = await Promise.all(Array.from({ length: MOST_LISTENERS }, () => Listening.to(single)));
      expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
      const { status, headers, json } = await single.get('/dashboard/events');
      expect([status, json.code, headers['retry-after']]).toEqual([503, 'overloaded', '5']);
      all[0].leave();
      const next = await until('there is room', async () => {
        const tried = await Listening.to(single);
        return tried.status === 200 ? tried : undefined;
      });
      await until('the others hear of it', () => (all[1].ticks.length > 1 && next.ticks.length > 0) || undefined);
      expect(await single.stop()).toBe(0);
      await until('all streams have ended', () => all.slice(1).every(({ ended }) => ended) || undefined);
    });

    it('ends with the proxy', async () => {
      const ending = (own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, SHUTDOWN_GRACE_MS: 5000 }));
      const listening = await Listening.to(ending);
      await until('it is live', () => (listening.ticks.length > 0 ? true : undefined));
      expect(await ending.stop()).toBe(0);
      await until('the stream has ended', () => (listening.ended ? true : undefined));
    });

    it('lasts, and does not hold up others, where requests wait for one another', async () => {
      const sequential = (own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_MODE: 'sequential' }));
      const listening = await Listening.to(sequential);
      for (const ticks of [1, 2]) {
        await until('it is live', () => listening.ticks.length >= ticks || undefined);
        expect((await sequential.key('nobody')).status).toBe(404);
      }
      expect(listening.ended).toBe(false);
    });

    it('answers a HEAD without listening', async () => {
      const { status, body, headers } = await proxy.ask('/dashboard/events', { method: 'HEAD' });
      expect([status, body.length, headers['content-type']]).toEqual([200, 0, 'text/event-stream']);
    });
  });
});
