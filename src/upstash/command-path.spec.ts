import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { commandFromTarget, hideCommand } from './command-path.ts';

const percentEncoded = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

describe('command paths', () => {
  it('accept arguments of any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (args) => {
        const path = ['/MGET', ...args.map(percentEncoded)].join('/');
        const expected = [Buffer.from('MGET'), ...args.map((each) => Buffer.from(each))];
        expect(commandFromTarget(path)).toEqual(expected);
        expect(commandFromTarget(`http://host${path}?_token=a/b`)).toEqual(expected);
        expect(hideCommand(`${path}?x`)).toBe('/get/key');
      }),
    );
  });

  it.each(['/get/%', '/get/%4', '/get/%zz', '/%/a'])('reject invalid percent-encoding: %s', (target) => {
    expect(commandFromTarget(target)).toBeUndefined();
  });

  it.each(['/get', '/GET/a', '/Get?x', '/ping', '/set/a/b', '/flushall', '/subscribe/a'])(
    'are replaced by one path for the router: %s',
    (url) => {
      expect(hideCommand(url)).toBe('/get/key');
    },
  );

  it.each([
    '/',
    '/v1/keys/a',
    '/v1/mget',
    '/docs',
    '/metrics',
    '/health/live',
    '/getter/a',
    '/x/get/a',
    '//get/a',
    '*',
  ])('do not include %s', (url) => {
    expect(hideCommand(url)).toBe(url);
  });
});
