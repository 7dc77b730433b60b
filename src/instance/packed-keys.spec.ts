import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { packKeys, packedBytes, unpackKeys } from './packed-keys.ts';

it('unpacking returns the packed keys, and their bytes add up', () => {
  const key = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(key), (keys) => {
      const packed = packKeys(keys);
      expect(unpackKeys(packed)).toEqual(keys);
      expect(packed.length).toBe(keys.reduce((sum, each) => sum + packedBytes(each), 0));
    }),
  );
});
