import { describe, expect, it } from '@jest/globals';

interface State {
  readonly base: string;
  readonly ops: string;
  readonly demo?: { readonly etag?: string; readonly cli?: string } | undefined;
  readonly hasAccessToken: boolean;
  readonly hasAdminToken: boolean;
  readonly httpClientCertificates: boolean;
}

const program = new URL('../../deploy/local/what-to-try.mjs', import.meta.url).href;
const { whatToTry } = (await import(program)) as { whatToTry: (state: State) => string };

const HTTP = {
  base: 'http://localhost:8080',
  ops: 'http://localhost:8080',
  hasAccessToken: false,
  hasAdminToken: false,
};
const TOKEN = '-H "Authorization: Bearer $ACCESS_TOKEN"';

/** Returns the calls of curl, from that word on. */
function callsOf(text: string): string[] {
  return text.split('\n').flatMap((line) => /^ {2}[^#]*\b(curl .*)$/.exec(line)?.[1] ?? []);
}

describe('what make start suggests', () => {
  const demo = { etag: '"a"', cli: 'redis-cli -p 6379' };

  it.each([
    ['the demo keys', demo],
    ['a Redis of the user', undefined],
  ])('sends the access token with each read of %s, if one is required', (_, keys) => {
    const state = { ...HTTP, demo: keys, hasAdminToken: true, httpClientCertificates: false };
    const calls = callsOf(whatToTry({ ...state, hasAccessToken: true }));
    const admin = calls.pop();
    expect(calls.length).toBeGreaterThan(1);
    expect(calls.filter((call) => !call.startsWith(`curl ${TOKEN} `))).toEqual([]);
    expect(admin).toBe('curl -s -H "Authorization: Bearer $ADMIN_TOKEN" http://localhost:8080/v1/cache');
    expect(whatToTry(state)).not.toContain('ACCESS_TOKEN');
  });

  it('accepts any certificate of a proxy with TLS, and presents one if it must', () => {
    const state = { ...HTTP, base: 'https://localhost:8080', demo, hasAccessToken: true };
    for (const [httpClientCertificates, options] of [
      [false, '-k'],
      [true, '-k --cert client.crt --key client.key'],
    ] as const) {
      const calls = callsOf(whatToTry({ ...state, httpClientCertificates }));
      expect(calls.filter((call) => !call.startsWith(`curl ${options} ${TOKEN} `))).toEqual([]);
      expect(calls[0]).toBe(`curl ${options} ${TOKEN} -i https://localhost:8080/v1/keys/greeting`);
    }
  });
});
