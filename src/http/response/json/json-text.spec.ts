import { isUtf8 } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonText } from './json-text.ts';

const NO_YIELD = (): undefined => undefined;

async function written(value: Buffer, encoding: 'utf8' | 'base64', maxBytes = Infinity): Promise<string | undefined> {
  const text = await JsonText.of({ value, encoding }, maxBytes, NO_YIELD);
  if (text === undefined) return undefined;
  const target = Buffer.alloc(text.bytes + 2, '.');
  await text.write(target, 1, NO_YIELD);
  expect([target[0], target.at(-1)]).toEqual([0x2e, 0x2e]);
  return String(target.subarray(1, -1));
}

/** Bytes, some of them text, some of them long enough for several steps. */
const bytes = fc
  .tuple(
    fc.oneof(
      fc.uint8Array().map((each) => Buffer.from(each)),
      fc.string({ unit: 'binary' }).map((each) => Buffer.from(each)),
      fc.constantFrom('\0', '"', '\\', '\ud83d\ude00', '\u2028', '\ufeff', 'a').map((each) => Buffer.from(each)),
    ),
    fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat({ max: 100_000 }) }),
  )
  .map(([unit, times]) => Buffer.concat(Array.from({ length: unit.length < 8 ? times : 1 }, () => unit)));

describe('JsonText', () => {
  it('writes the same bytes as JSON.stringify, and as many as it has measured', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom('utf8', 'base64'), async (value, encoding) => {
        expect(await written(value, encoding)).toBe(JSON.stringify(value.toString(encoding)));
      }),
      { numRuns: 300 },
    );
  });

  it('rejects strings whose JSON exceeds maxBytes', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom('utf8', 'base64'), fc.nat(200), async (value, encoding, maxBytes) => {
        const expected = JSON.stringify(value.toString(encoding));
        const fits = Buffer.byteLength(expected) <= maxBytes && value.length <= maxBytes;
        expect(await written(value, encoding, maxBytes)).toBe(fits ? expected : undefined);
      }),
    );
  });

  it.each([
    ['control characters', Buffer.alloc(2 ** 20, 1), 'utf8'],
    ['bytes that are not UTF-8', Buffer.alloc(2 ** 20, 0xff), 'utf8'],
    ['base64', Buffer.alloc(2 ** 20, 0xff), 'base64'],
  ] as const)('measures and writes in steps of 64 KiB: %s', async (_, value, encoding) => {
    const steps: number[] = [];
    const afterStep = (step: number): undefined => void steps.push(step);
    const text = (await JsonText.of({ value, encoding }, Infinity, afterStep)) as JsonText;
    await text.write(Buffer.alloc(text.bytes), 0, afterStep);
    expect(Math.max(...steps)).toBeLessThanOrEqual(isUtf8(value) ? 65_536 : 3 * 65_536);
    expect(steps.length).toBeGreaterThanOrEqual(16);
  });

  it('stops measuring once maxBytes is exceeded', async () => {
    let steps = 0;
    const afterStep = (): undefined => void steps++;
    const value = Buffer.alloc(2 ** 24);
    expect(await JsonText.of({ value, encoding: 'utf8' }, 2 ** 24, afterStep)).toBeUndefined();
    expect(steps).toBeLessThan(64);
  });
});
