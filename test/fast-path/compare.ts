import type { Outcome } from './play.ts';
import { LAST_VALUE } from './targets.ts';

/** Where an answer starts; no value and no problem has such text in it. */
const ANSWER = /HTTP\/1\.1 \d{3} /g;

/** The last answer to bytes that are no request: how many have arrived by then decides what is said of them. */
const REFUSAL = /HTTP\/1\.1 (?:400|501|505) (?:(?!HTTP\/1\.1 )[^])*\r\nConnection: close\r\n\r\n\{[^}]*\}$/;

const REFUSED = 'refused';

/** The headers that depend on when a value was loaded: any other conversation may have had that done anew. */
const TIMES =
  /\r\nAge: (\d+)\r\nCache-Control: ([^\r]*max-age=(\d+))\r\nCache-Status: ([^\r]*?)(?:; ttl=(\d+))?(?=\r\n)/g;

/** Whether two servers have said the same, but for the time of day and the age of what they hold. */
export function alike(a: Outcome, b: Outcome): boolean {
  return same(withoutTime(a), withoutTime(b));
}

/**
 * Whether node:http may have said this as well, which says `inTurn` when it is given the time to answer each request
 * before the next arrives: then a request whose body turns out to be broken has been answered; otherwise it is refused.
 */
export function possible(outcome: Outcome, inTurn: Outcome): boolean {
  const [one, all] = [withoutTime(outcome), withoutTime(inTurn)];
  if (same(one, all)) return true;
  if (all.endedBy === 'client' || all.received.endsWith(LAST_VALUE)) return false;
  // A connection that is closed while the client still sends loses what is on its way (RFC 9112, section 9.6).
  if (one.endedBy !== 'client' && all.received.startsWith(one.received)) return true;
  const last = [...all.received.matchAll(ANSWER)].at(-1)?.index ?? 0;
  return same(one, { ...all, received: all.received.slice(0, last) + REFUSED });
}

function same(a: Outcome, b: Outcome): boolean {
  return a.endedBy === b.endedBy && a.closed === b.closed && a.received === b.received && a.afterEnd === b.afterEnd;
}

/** Takes out the values of Date, and those of Age and ttl if they fit each other. */
function withoutTime(outcome: Outcome): Outcome {
  return { ...outcome, received: strip(outcome.received), afterEnd: strip(outcome.afterEnd) };
}

function strip(text: string): string {
  return (
    text
      .replace(REFUSAL, REFUSED)
      // Two that load a key at once are one load.
      .replaceAll('; fwd=uri-miss; collapsed\r\n', '; fwd=uri-miss\r\n')
      .replace(/; fwd=request(?:; stored|; collapsed)(?=\r\n)/g, '; fwd=request')
      .replace(/(\r\nDate: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)/g, '$1')
      .replace(TIMES, (all, age: string, control: string, lifetime: string, status: string, ttl?: string) => {
        const left = ttl === undefined ? Number(lifetime) : Number(ttl);
        const fits = Math.abs(Number(age) + left - Number(lifetime)) <= 1;
        return fits ? `\r\nCache-Control: ${control}\r\nCache-Status: ${status}` : all;
      })
  );
}
