import { Buffer } from 'node:buffer';
import type { ContentCoding } from '../../config/settings.ts';
import type { Query } from '../../redis/query.ts';
import type { EntryId } from '../shared-lru/cache-types.ts';

/** Distinguishes the variants of one value: 1 to 15. */
export type VariantNumber = number;

/** The variants that are compressed, by coding, and the one that is decompressed. */
export const COMPRESSED: Readonly<Record<ContentCoding, VariantNumber>> = { gzip: 1, br: 2, zstd: 3 };
export const DECOMPRESSED: VariantNumber = 4;

/** Shifts the number of a variant to where a selector has it: its first byte has the form of what was read in the lower bits. */
const SHIFT = 4;

/** Returns the first byte of the selector of a variant, given the one of what was read; 0 for `GET key`, which has no selector. */
export function selectorByte(first: number, variant: VariantNumber): number {
  return first | (variant << SHIFT);
}

/** Whether what a query reads may have variants: HTTP serves the bytes of its entry. */
export function hasVariants(query: Query): boolean {
  return query.isGet || query.form !== undefined;
}

/**
 * Returns the id of the entry of a variant. It belongs to the same key, so that it is purged and invalidated with what it was made
 * of. The selector of a variant of `GET key` is one byte, which no other selector is.
 */
export function variantIdOf({ id, selectorLength }: EntryId, variant: VariantNumber): EntryId {
  if (selectorLength === 0) return { id: Buffer.concat([id, Buffer.of(selectorByte(0, variant))]), selectorLength: 1 };
  const own = Buffer.from(id);
  const at = own.length - selectorLength;
  own[at] = selectorByte(own[at], variant);
  return { id: own, selectorLength };
}

/**
 * Turns the id of a variant, which ends at `to`, into the id of what it was made of, in place; any other id stays.
 * Returns the number of bytes by which it is shorter.
 */
export function withoutVariant(bytes: Uint8Array, to: number, selectorLength: number): 0 | 1 {
  const at = to - selectorLength;
  if (selectorLength === 0 || bytes[at] >> SHIFT === 0) return 0;
  if (selectorLength === 1) return 1;
  bytes[at] &= 2 ** SHIFT - 1;
  return 0;
}
