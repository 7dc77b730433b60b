import type { ExpiryOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';

/** What stands for the reading of a key that has failed: the code word, and the cause. */
export const FAILURES = {
  'wrong-type': 'WRONGTYPE Operation against a key holding the wrong kind of value',
  'value-too-large': 'ERR the value has more bytes than are read of Redis',
  timeout: 'TIMEOUT Redis did not answer in time',
  unavailable: 'UNAVAILABLE Redis cannot be reached',
  overloaded: 'OVERLOADED too many reads wait for Redis',
  'too-large': 'ERR the values are too many bytes for one reply: ask for fewer keys at once',
} as const;

/** What a read has given, as far as a command tells it apart. */
export type Read = { readonly value: Buffer } | { readonly failure: keyof typeof FAILURES } | undefined;

/** The same without the value: only its length is kept. */
export type Counted = { readonly value: { readonly length: number } } | Exclude<Read, { readonly value: Buffer }>;

/** Where a reply is written, in the form of the protocol that the client speaks. */
export interface ReplySink {
  /** @param text the error's code word, a space, and what is wrong. */
  error(text: string): void;
  integer(value: number): void;
  /** A text of ASCII characters without a line end, such as a type. */
  simple(text: string): void;
  null(): void;
  /** The head of an array: its elements are to follow. */
  array(length: number): void;
  bulk(value: Buffer): void;
}

/** Writes the reply to a command of which the keys have been read. */
export type WriteReads = (reads: readonly Read[], out: ReplySink) => void;

export function writeValue([read]: readonly Read[], out: ReplySink): void {
  if (read === undefined) out.null();
  else if ('value' in read) out.bulk(read.value);
  else out.error(FAILURES[read.failure]);
}

export function writeLength([read]: readonly Counted[], out: ReplySink): void {
  if (read === undefined) out.integer(0);
  else if ('value' in read) out.integer(read.value.length);
  else out.error(FAILURES[read.failure]);
}

export function writeValues(reads: readonly Read[], out: ReplySink): void {
  const failure = failureAmong(reads);
  if (failure !== undefined) return out.error(FAILURES[failure]);
  out.array(reads.length);
  for (const read of reads) {
    if (read !== undefined && 'value' in read) out.bulk(read.value);
    else out.null();
  }
}

/** How many exist; one that holds no string does. */
export function writeCount(reads: readonly Counted[], out: ReplySink): void {
  const failure = failureAmong(reads);
  if (failure !== undefined) out.error(FAILURES[failure]);
  else out.integer(reads.filter((read) => read !== undefined).length);
}

/** The first read that has failed fails them all: a value that could not be read is not one that is not there. */
function failureAmong(reads: readonly Counted[]): keyof typeof FAILURES | undefined {
  for (const read of reads) {
    if (read !== undefined && 'failure' in read && read.failure !== 'wrong-type') return read.failure;
  }
  return undefined;
}

export function writeType(outcome: TypeOutcome, out: ReplySink): void {
  switch (outcome.kind) {
    case 'type':
      return out.simple(outcome.type);
    case 'missing':
      return out.simple('none');
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return out.error(FAILURES[outcome.kind]);
  }
}

export function writeExpiry(outcome: ExpiryOutcome, out: ReplySink, unit: (ms: number) => number): void {
  switch (outcome.kind) {
    case 'expires':
      return out.integer(unit(outcome.ms));
    case 'endless':
      return out.integer(-1);
    case 'missing':
      return out.integer(-2);
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return out.error(FAILURES[outcome.kind]);
  }
}
