import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FrontEnd, type FrontEndName, documentedConfiguration, isInstalled } from '../support/front-ends.ts';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy, percentEncode } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const KEYS = [
  ...[
    'a',
    'b',
    'a/b',
    'a//b',
    '/a',
    '//a',
    'a/',
    'a//',
    'a/../b',
    '../a',
    './a',
    'a/./b',
    '100%',
    '%25',
    'a%2Fb',
    'a%252Fb',
  ],
  ...[
    'a+b',
    'a b',
    'a?b',
    'a#b',
    'a;b',
    'a&b=c',
    'a\\b',
    'a"b',
    "a'b",
    '{a}',
    '<a>',
    'café',
    'v1/keys/a',
    'cache/a',
    '~a',
    '*',
  ],
];

/** Returns the forms of a key in a path: as URLs are usually built, with slashes as they are, and with each byte encoded. */
function formsOf(key: string): string[] {
  return [encodeURIComponent(key), key.split('/').map(encodeURIComponent).join('/'), percentEncode(key)];
}

describeOwn('front ends', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  beforeAll(async () => {
    redis = await TestRedis.start();
    for (const key of KEYS) await redis.client.set(key, `value of ${key}`);
    await redis.client.set(Buffer.from([0xff, 0xe9]), 'value of bytes');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, ADMIN_TOKEN: 'admin' });
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const describeWith = (name: FrontEndName, tests: () => void): void => {
    if (isInstalled(name)) describe(name, tests);
    else describe.skip(`${name} (skipped: not installed)`, tests);
  };

  /** Returns the forms of keys whose value is not what was read below a prefix, with what was read. */
  async function wrongReads(base: string, prefix: string): Promise<string[]> {
    const wrong: string[] = [];
    for (const key of KEYS) {
      for (const form of formsOf(key)) {
        const { status, text } = await sendRequest(base, `${prefix}/v1/keys/${form}`);
        if (status !== 200 || text !== `value of ${key}`) wrong.push(`${form}: ${status} ${text}`);
      }
    }
    return wrong;
  }

  describe.each(['nginx', 'haproxy'] as const)('as documented', (name) => {
    describeWith(name, () => {
      let frontEnd: FrontEnd;
      beforeAll(async () => {
        frontEnd = await FrontEnd.start(name, documentedConfiguration(name, proxy.url));
      });
      afterAll(() => frontEnd?.stop());

      it.each(['', '/cache'])('forwards all keys byte for byte, below the prefix "%s"', async (prefix) => {
        expect(await wrongReads(frontEnd.url, prefix)).toEqual([]);
        expect((await sendRequest(frontEnd.url, `${prefix}/v1/keys/%FF%E9`)).text).toBe('value of bytes');
      });

      it('forwards queries, conditions and purges below the prefix', async () => {
        const list = await sendRequest(frontEnd.url, '/cache/v1/lists/a%2Fb?start=0&stop=-1');
        expect(list.json.code).toBe('wrong-type');
        const { headers } = await sendRequest(frontEnd.url, '/cache/v1/keys/a%2F%2Fb');
        const condition = { 'if-none-match': String(headers.etag) };
        expect((await sendRequest(frontEnd.url, '/cache/v1/keys/a//b', { headers: condition })).status).toBe(304);
        const purge = { method: 'DELETE', headers: { authorization: 'Bearer admin' } };
        expect((await sendRequest(frontEnd.url, '/cache/v1/cache/a%2F%2Fb', purge)).json).toEqual({ purged: true });
      });
    });
  });

  describeWith('nginx', () => {
    const server = (locations: string): string => `
      upstream proxy { server ${new URL(proxy.url).host}; }
      server { listen 127.0.0.1:PORT; ${locations} }`;
    let frontEnd: FrontEnd;
    const served = async (locations: string, path: string): Promise<string> => {
      frontEnd = await FrontEnd.start('nginx', server(locations));
      try {
        return (await sendRequest(frontEnd.url, path)).text;
      } finally {
        await frontEnd.stop();
      }
    };

    it.each([
      ['proxy_pass with a URI', 'location /cache/ { proxy_pass http://proxy/; }'],
      ['rewrite', 'location /cache/ { rewrite ^/cache(/.*)$ $1 break; proxy_pass http://proxy; }'],
    ])('returns the value of another key with %s, as the documentation warns', async (_, locations) => {
      expect(await served(locations, '/cache/v1/keys/a%2F%2Fb')).toBe('value of a/b');
    });

    it('lets a path of the admin API pass a rule about paths, as the documentation warns', async () => {
      const locations = 'location /v1/keys/ { proxy_pass http://proxy; } location / { return 403; }';
      expect(await served(locations, '/v1/cache/../keys/x')).toContain('Allowed methods: DELETE.');
    });
  });
});
