import { isUtf8 } from 'node:buffer';
import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { HotKey, HotKeysReport } from '../cache/shared-lru/hot-keys/hot-keys-report.ts';
import { splitTarget } from '../http/request/key-path.ts';
import { requestOf } from '../http/request/http-context.ts';
import { problemResponse } from '../http/response/http-response.ts';
import { ResponseException } from '../http/response/problem.filter.ts';
import { problem } from '../http/response/problem.ts';

/** The query parameter with the maximum number of keys, its default and its maximum. */
export const LIMIT_PARAMETER = 'limit';
export const DEFAULT_LIMIT = 20;
export const MAX_LIMIT = 100;

/** Yields the number of keys that a request asks for; rejects any limit but 1 to {@link MAX_LIMIT} with 400. */
export const KeyLimit = createParamDecorator((_data: unknown, context: ExecutionContext): number => {
  const [, query] = splitTarget(requestOf(context).originalUrl);
  const limit = new URLSearchParams(query).get(LIMIT_PARAMETER) ?? String(DEFAULT_LIMIT);
  if (/^[1-9]\d{0,2}$/.test(limit) && Number(limit) <= MAX_LIMIT) return Number(limit);
  const detail = `The query parameter "${LIMIT_PARAMETER}" must be an integer from 1 to ${MAX_LIMIT}.`;
  throw new ResponseException(problemResponse(problem('bad-request', detail)));
});

/** Returns the body of the response. */
export function hotKeysBody({ windowMs, reads, samples, keys }: HotKeysReport) {
  const seconds = windowMs / 1000;
  const perSecond = (count: number): number => (seconds === 0 ? 0 : thousandths(count / seconds));
  return {
    windowSeconds: thousandths(seconds),
    readsPerSecond: perSecond(reads),
    sampled: reads === 0 ? 1 : Math.round((samples / reads) * 1e6) / 1e6,
    keys: keys.map((each) => ({
      ...keyOf(each),
      readsPerSecond: perSecond(each.reads),
      errorPerSecond: perSecond(each.error),
    })),
  };
}

/** Renders a key as a request for many keys has it; a long one is cut, and its length added. */
function keyOf({ key, keyBytes }: HotKey): { key: string | { base64: string }; keyBytes?: number } {
  if (key.length === keyBytes) return { key: isUtf8(key) ? key.toString() : { base64: key.toString('base64') } };
  // The last character may have been cut.
  const whole = [0, 1, 2, 3].map((cut) => key.subarray(0, key.length - cut)).find((each) => isUtf8(each));
  return { key: whole === undefined ? { base64: key.toString('base64') } : whole.toString(), keyBytes };
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}
