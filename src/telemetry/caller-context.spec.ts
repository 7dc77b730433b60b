import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { type Context, trace } from '@opentelemetry/api';
import { parentOf } from './caller-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const traceparent = `00-${TRACE}-${SPAN}-01`;

const stateOf = (tracestate: string): string | undefined =>
  trace.getSpanContext(parentOf({ traceparent, tracestate }))?.traceState?.serialize();

/** Returns the bytes on the heap after a garbage collection. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('parentOf', () => {
  it('has the ids and flags of traceparent, and the members of tracestate', () => {
    const context = trace.getSpanContext(parentOf({ traceparent, tracestate: 'one=1,two=2' }));
    expect(context).toMatchObject({ traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true });
    expect(context?.traceState?.serialize()).toBe('one=1,two=2');
  });

  it.each([undefined, '', `00-${TRACE}-${SPAN}`, `00-${TRACE}-${SPAN}-01-more`, `${traceparent}, ${traceparent}`])(
    'is a new trace with the traceparent %j',
    (invalid) => {
      expect(trace.getSpanContext(parentOf({ traceparent: invalid, tracestate: 'one=1' }))).toBeUndefined();
    },
  );

  it('keeps the first whole members of a tracestate that are 512 characters or less', () => {
    const member = (name: string): string => `${name}=${'x'.repeat(98)}`;
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    expect(stateOf(names.map(member).join(','))).toBe(['a', 'b', 'c', 'd', 'e'].map(member).join(','));
    expect(stateOf(`a=${'x'.repeat(511)}`)).toBeUndefined();
    expect(stateOf('x'.repeat(100_000))).toBeUndefined();
  });

  it('holds no part of the headers in memory', () => {
    const padding = 'x'.repeat(200_000);
    const contexts: Context[] = [];
    const before = heapBytes();
    for (let i = 0; i < 200; i++) {
      const head = Buffer.from(`01-${TRACE}-${SPAN}-01-${i}${padding};vendor=${i},${padding}`, 'latin1').toString(
        'latin1',
      );
      const [parent, state] = head.split(';');
      contexts.push(parentOf({ traceparent: parent, tracestate: state }));
    }
    expect(heapBytes() - before).toBeLessThan(8_000_000);
    expect(contexts.map((context) => trace.getSpanContext(context)?.traceState?.get('vendor'))).toContain('199');
  });
});
