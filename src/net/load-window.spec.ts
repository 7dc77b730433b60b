import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LoadWindow } from './load-window.ts';

const MiB = 2 ** 20;

describe('LoadWindow', () => {
  it('permits few loads until the size of the values is known, and many once they are small', () => {
    const window = new LoadWindow(128);
    expect(window.size).toBe(4);
    for (let i = 0; i < 5; i++) window.observe(100);
    expect(window.size).toBe(128);
  });

  it('permits one load at a time after a large value, and recovers slowly', () => {
    const window = new LoadWindow(128);
    for (let i = 0; i < 100; i++) window.observe(100);
    window.observe(4 * MiB);
    expect(window.size).toBe(1);
    for (let i = 0; i < 20; i++) window.observe(100);
    expect(window.size).toBe(1);
    for (let i = 0; i < 40; i++) window.observe(100);
    expect(window.size).toBe(128);
  });

  it('permits 1 to 128 loads, of about 1 MiB in total if values are as long as the last one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(64 * MiB), { minLength: 1 }), (sizes) => {
        const window = new LoadWindow(128);
        for (const size of sizes) window.observe(size);
        expect(window.size).toBeGreaterThanOrEqual(1);
        expect(window.size).toBeLessThanOrEqual(128);
        expect((window.size - 1) * Number(sizes.at(-1))).toBeLessThan(MiB);
      }),
    );
  });
});
