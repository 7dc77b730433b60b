import type { BufferedBytes, Reader, Reservation } from '../../cache/read-through/buffered-bytes.ts';
import type { HttpResponse } from './http-response.ts';
import type { Allocate } from './results-body.ts';

/** What was read for an answer, and how it is rendered. */
export interface Rendering {
  /** The values that are held until the answer is rendered. */
  readonly values: readonly Buffer[];
  /** Renders the answer; or returns the bytes of the body for which there is no room. */
  readonly render: (allocate: Allocate) => Promise<HttpResponse | number>;
  /** Lets go of the values, which will be read again. */
  readonly drop?: () => void;
}

/**
 * Renders an answer from values, both counted among the buffered bytes. When there is no room for the body, the values are
 * let go, room is waited for, and all is read again.
 *
 * @param read reads the values: the second time in the room that was waited for, uncounted.
 * @returns undefined when too many wait for room already, or the reader is gone.
 */
export async function renderBuffered(
  buffered: BufferedBytes,
  reader: Reader,
  read: (room: Reservation | undefined) => Promise<Rendering>,
): Promise<HttpResponse | undefined> {
  const answerOrBytes = await renderFirst(buffered, await read(undefined));
  if (typeof answerOrBytes !== 'number') return answerOrBytes;
  const room = await buffered.wait(answerOrBytes, reader);
  if (room === undefined) return undefined;
  try {
    const again = await read(room);
    const answer = await renderHolding(
      buffered,
      again,
      (bytes) => buffered.allocate(bytes, room) ?? buffered.force(bytes),
    );
    return typeof answer === 'number' ? undefined : answer;
  } finally {
    buffered.free(room);
  }
}

/** Renders an answer; or lets go of its values, and returns the bytes that it takes to hold them and the body. */
async function renderFirst(buffered: BufferedBytes, rendering: Rendering): Promise<HttpResponse | number> {
  const rendered = await renderHolding(buffered, rendering, (bytes) => buffered.allocate(bytes));
  if (typeof rendered !== 'number') return rendered;
  rendering.drop?.();
  const { roundingBytes } = buffered;
  return rendering.values.reduce(
    (sum, { buffer }) => sum + buffer.byteLength + roundingBytes,
    rendered + roundingBytes,
  );
}

async function renderHolding(
  buffered: BufferedBytes,
  { values, render }: Rendering,
  allocate: Allocate,
): Promise<HttpResponse | number> {
  for (const { buffer } of values) buffered.hold(buffer);
  try {
    const answer = await render(allocate);
    // Until it is sent, which is in this turn of the event loop.
    if (typeof answer !== 'number' && answer.body !== undefined) buffered.pass(answer.body.buffer);
    return answer;
  } finally {
    for (const { buffer } of values) buffered.release(buffer);
  }
}
