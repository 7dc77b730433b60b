import { type Context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { TraceState, parseTraceParent } from '@opentelemetry/core';
import type { RequestDescription } from '../cache/read-tracer.ts';

/** Characters of a tracestate that are kept: the least that W3C Trace Context asks for (section 3.3.1.5), and the most that the SDK exports. */
const MAX_TRACESTATE = 512;

/**
 * Returns the context of the caller's span; with an invalid traceparent, that of a new trace (W3C Trace Context, 3.2). It refers to
 * no part of the headers, which may have 200 KiB, as thousands of spans may wait for a collector that is down.
 */
export function parentOf({ traceparent, tracestate }: Pick<RequestDescription, 'traceparent' | 'tracestate'>): Context {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
  if (parent === null) return ROOT_CONTEXT;
  const traceState = tracestate === undefined ? undefined : firstMembers(tracestate);
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: copyOf(parent.traceId),
    spanId: copyOf(parent.spanId),
    traceFlags: parent.traceFlags,
    isRemote: true,
    ...(traceState !== undefined && { traceState: new TraceState(copyOf(traceState)) }),
  });
}

/** Returns the first members of a tracestate, which are of the latest systems, in {@link MAX_TRACESTATE} characters at most. */
function firstMembers(tracestate: string): string | undefined {
  if (tracestate.length <= MAX_TRACESTATE) return tracestate;
  const end = tracestate.lastIndexOf(',', MAX_TRACESTATE);
  return end === -1 ? undefined : tracestate.slice(0, end);
}

/** Copies a text of a header: a substring would keep the whole text in memory. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
