import { type ByteRange, byteRangeOf } from './byte-range.ts';

/** Header fields of a request because of which the response may be another than the whole value. */
export interface Conditions {
  readonly ifNoneMatch: string | undefined;
  /** Undefined as well if the method is not GET: then it has no meaning. */
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** A request without such fields. */
export const UNCONDITIONAL: Conditions = { ifNoneMatch: undefined, range: undefined, ifRange: undefined };

/** An entity tag in a list, weak or strong (RFC 9110, section 8.8.3). */
const ENTITY_TAG = /[\t ,]*(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/gy;

/** Whether an `If-None-Match` field contains `*` or this strong validator, by weak comparison. */
export function etagMatches(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === etag || ifNoneMatch.trim() === '*') return true;
  for (const [, opaque] of ifNoneMatch.matchAll(ENTITY_TAG)) if (opaque === etag) return true;
  return false;
}

/**
 * Returns the part of a value of `length` bytes that a request asks for; undefined: the whole. `If-Range` compares strongly, and
 * never matches a date, because responses have no Last-Modified (RFC 9110, section 13.1.5).
 */
export function requestedRange(
  { range, ifRange }: Conditions,
  etag: string,
  length: number,
): ByteRange | 'unsatisfiable' | undefined {
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return undefined;
  return byteRangeOf(range, length);
}
