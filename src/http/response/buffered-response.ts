import type { BufferedBytes, ReadClient, Reservation } from '../../cache/read-through/buffered-bytes.ts';
import type { HttpResponse } from './http-response.ts';
import type { Allocate } from './json/results-body.ts';

/** The values that were read for a response, and how it is rendered. */
export interface Rendering {
  /** The values, which stay in memory until the response is rendered. */
  readonly values: readonly Buffer[];
  /** Renders the response, or returns the length of the body if no memory is available for it. */
  readonly render: (allocate: Allocate) => Promise<HttpResponse | number>;
  /** Drops the values; they will be read again. */
  readonly drop?: () => void;
}

/**
 * Renders a response from values; values and body count towards the buffered bytes. If the limit leaves no memory for the
 * body, the values are dropped, memory is reserved, and the values are read again.
 *
 * @param read reads the values: the second time within the reservation, and without counting the reads again.
 * @returns undefined if too many responses wait for memory, or the client has disconnected.
 */
export async function renderBuffered(
  buffered: BufferedBytes,
  client: ReadClient,
  read: (reservation: Reservation | undefined) => Promise<Rendering>,
): Promise<HttpResponse | undefined> {
  const responseOrBytes = await tryRender(buffered, await read(undefined));
  if (typeof responseOrBytes !== 'number') return responseOrBytes;
  const reservation = await buffered.reserve(responseOrBytes, client);
  if (reservation === undefined) return undefined;
  try {
    const rendering = await read(reservation);
    const response = await renderCounted(
      buffered,
      rendering,
      (bytes) => buffered.allocate(bytes, reservation) ?? buffered.allocateBeyondLimit(bytes),
    );
    return typeof response === 'number' ? undefined : response;
  } finally {
    buffered.releaseUnused(reservation);
  }
}

/** Renders a response, or drops its values and returns the memory needed for values and body, in bytes. */
async function tryRender(buffered: BufferedBytes, rendering: Rendering): Promise<HttpResponse | number> {
  const rendered = await renderCounted(buffered, rendering, (bytes) => buffered.allocate(bytes));
  if (typeof rendered !== 'number') return rendered;
  rendering.drop?.();
  const { roundingBytes } = buffered;
  return rendering.values.reduce(
    (sum, { buffer }) => sum + buffer.byteLength + roundingBytes,
    rendered + roundingBytes,
  );
}

async function renderCounted(
  buffered: BufferedBytes,
  { values, render }: Rendering,
  allocate: Allocate,
): Promise<HttpResponse | number> {
  for (const { buffer } of values) buffered.hold(buffer);
  try {
    const response = await render(allocate);
    // Counted until it is sent, which happens in this tick of the event loop.
    if (typeof response !== 'number' && response.body !== undefined) buffered.releaseAfterTick(response.body.buffer);
    return response;
  } finally {
    for (const { buffer } of values) buffered.release(buffer);
  }
}
