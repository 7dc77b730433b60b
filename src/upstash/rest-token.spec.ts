import { describe, expect, it } from '@jest/globals';
import { restToken } from './rest-token.ts';

describe('restToken', () => {
  it.each([
    ['Bearer a', '/', 'a'],
    ['Bearer a', '/?_token=b', 'a'],
    ['Basic a', '/?_token=b', undefined],
    [undefined, '/?_token=b', 'b'],
    [undefined, '/get/a?x=1&_token=a%2Bb+c%3D=&_token=d', 'a+b+c=='],
    [undefined, '/get/_token=a', undefined],
    [undefined, '/?x_token=a', undefined],
    [undefined, '/?_token', undefined],
    [undefined, '/?_token=%', undefined],
    [undefined, '/', undefined],
  ])('with Authorization %j at %s returns %j', (authorization, target, token) => {
    expect(restToken(authorization, target)).toBe(token);
  });
});
