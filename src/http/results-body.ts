import { Buffer } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bytes that the results take in one answer, as JSON writes them. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** After so many bytes others have their turn. */
const STEP_BYTES = 256 * 1024;

const COMMA = Buffer.from(',');

/** One of the results of an answer, as JSON; it takes room if it is one that is left out where there is none. */
export interface Result {
  readonly body: Buffer;
  readonly takesRoom: boolean;
}

/**
 * The body of an answer of many results, in order. It is put together in steps, as it may be long.
 *
 * @param resultOf what came of one of them, in no more bytes than these if it takes room.
 */
export async function resultsBody<T>(
  [opening, closing]: readonly [string, string],
  items: readonly T[],
  resultOf: (item: T, maxBytes: number) => Result,
): Promise<Buffer> {
  const parts: Buffer[] = [Buffer.from(opening)];
  let left = MAX_ANSWER_BYTES;
  let step = STEP_BYTES;
  for (const item of items) {
    const { body, takesRoom } = resultOf(item, left);
    if (takesRoom) left -= body.length;
    if (parts.length > 1) parts.push(COMMA);
    parts.push(body);
    step -= body.length;
    if (step <= 0) {
      await nextTurn();
      step = STEP_BYTES;
    }
  }
  return Buffer.concat([...parts, Buffer.from(closing)]);
}
