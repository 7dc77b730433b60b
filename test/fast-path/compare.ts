import type { Outcome } from './play.ts';
import { LAST_VALUE } from './targets.ts';

/** The start of a response; no value and no problem contains this text. */
const STATUS_LINE = /HTTP\/1\.1 \d{3} /g;

/** The last response to malformed bytes, which depends on how many have arrived by then. */
const REFUSAL = /HTTP\/1\.1 (?:400|501|505) (?:(?!HTTP\/1\.1 )[^])*\r\nConnection: close\r\n\r\n\{[^}]*\}$/;

const REFUSED = 'refused';

/** Headers that depend on when a value was loaded, which any other conversation may have caused. */
const TIMES =
  /\r\nAge: (\d+)\r\nCache-Control: ([^\r]*max-age=(\d+))\r\nCache-Status: ([^\r]*?)(?:; ttl=(\d+))?(?=\r\n)/g;

/** A problem that a cached value causes: it has the lifetime of the value, and no age. */
const PROBLEM_TIMES = /(\r\nCache-Control: no-store\r\nCache-Status: [^\r]*?; hit); ttl=-?\d+(?=\r\n)/g;

/** Whether two servers have sent the same responses, except for dates and ages. */
export function areEqual(a: Outcome, b: Outcome): boolean {
  return same(withoutTime(a), withoutTime(b));
}

/**
 * Whether node:http could have sent these responses. It sends `sequential` if it has time to serve each request before the
 * next arrives: a request whose body turns out to be malformed has been served by then, and is rejected otherwise.
 */
export function possible(outcome: Outcome, sequential: Outcome): boolean {
  const [one, all] = [withoutTime(outcome), withoutTime(sequential)];
  if (same(one, all)) return true;
  if (all.endedBy === 'client' || all.received.endsWith(LAST_VALUE)) return false;
  // A connection that is closed while the client still sends loses what is on its way (RFC 9112, section 9.6).
  if (one.endedBy !== 'client' && all.received.startsWith(one.received)) return true;
  const last = [...all.received.matchAll(STATUS_LINE)].at(-1)?.index ?? 0;
  return same(one, { ...all, received: all.received.slice(0, last) + REFUSED });
}

function same(a: Outcome, b: Outcome): boolean {
  return a.endedBy === b.endedBy && a.closed === b.closed && a.received === b.received && a.afterEnd === b.afterEnd;
}

/** Removes the values of Date, and those of Age and ttl if they are consistent. */
function withoutTime(outcome: Outcome): Outcome {
  return { ...outcome, received: strip(outcome.received), afterEnd: strip(outcome.afterEnd) };
}

function strip(text: string): string {
  return (
    text
      .replace(REFUSAL, REFUSED)
      // Two concurrent loads of a key are coalesced.
      .replaceAll('; fwd=uri-miss; collapsed\r\n', '; fwd=uri-miss\r\n')
      .replace(/; fwd=request(?:; stored|; collapsed)(?=\r\n)/g, '; fwd=request')
      .replace(/(\r\nDate: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)/g, '$1')
      .replace(PROBLEM_TIMES, '$1')
      .replace(TIMES, (all, age: string, control: string, lifetime: string, status: string, ttl?: string) => {
        const left = ttl === undefined ? Number(lifetime) : Number(ttl);
        const fits = Math.abs(Number(age) + left - Number(lifetime)) <= 1;
        return fits ? `\r\nCache-Control: ${control}\r\nCache-Status: ${status}` : all;
      })
  );
}
