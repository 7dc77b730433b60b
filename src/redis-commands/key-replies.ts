import type { TtlOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';

/** Error replies for keys that could not be read: error code and message. */
export const FAILURES = {
  'wrong-type': 'WRONGTYPE Operation against a key holding the wrong kind of value',
  'value-too-large': 'ERR value exceeds REDIS_MAX_VALUE_BYTES',
  timeout: 'TIMEOUT Redis did not reply in time',
  unavailable: 'UNAVAILABLE Redis is unavailable',
  overloaded: 'OVERLOADED too many Redis reads are queued',
  'too-large': 'ERR values exceed the size limit of one reply: request fewer keys',
} as const;

/** Result of reading a key, as commands see it; undefined: the key does not exist. */
export type ReadResult = { readonly value: Buffer } | { readonly failure: keyof typeof FAILURES } | undefined;

/** A {@link ReadResult} with the length of the value instead of the value. */
export type LengthResult =
  { readonly value: { readonly length: number } } | Exclude<ReadResult, { readonly value: Buffer }>;

/** Encodes a reply in the client's protocol. */
export interface ReplySink {
  /** @param text error code, a space, and the message. */
  error(text: string): void;
  integer(value: number): void;
  /** @param text ASCII, without line ends. */
  simple(text: string): void;
  null(): void;
  /** Writes the header of an array; its elements must follow. */
  array(length: number): void;
  bulk(value: Buffer): void;
}

/** Writes the reply to a command whose keys have been read. */
export type WriteResults = (results: readonly ReadResult[], out: ReplySink) => void;

export function writeValue([result]: readonly ReadResult[], out: ReplySink): void {
  if (result === undefined) out.null();
  else if ('value' in result) out.bulk(result.value);
  else out.error(FAILURES[result.failure]);
}

export function writeLength([result]: readonly LengthResult[], out: ReplySink): void {
  if (result === undefined) out.integer(0);
  else if ('value' in result) out.integer(result.value.length);
  else out.error(FAILURES[result.failure]);
}

export function writeValues(results: readonly ReadResult[], out: ReplySink): void {
  const failure = firstFailure(results);
  if (failure !== undefined) return out.error(FAILURES[failure]);
  out.array(results.length);
  for (const result of results) {
    if (result !== undefined && 'value' in result) out.bulk(result.value);
    else out.null();
  }
}

/** Writes the number of keys that exist, whatever their type. */
export function writeCount(results: readonly LengthResult[], out: ReplySink): void {
  const failure = firstFailure(results);
  if (failure !== undefined) out.error(FAILURES[failure]);
  else out.integer(results.filter((result) => result !== undefined).length);
}

/** Returns the first failure. It fails the whole command: an unreadable value must not be reported as missing. */
function firstFailure(results: readonly LengthResult[]): keyof typeof FAILURES | undefined {
  for (const result of results) {
    if (result !== undefined && 'failure' in result && result.failure !== 'wrong-type') return result.failure;
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

export function writeTtl(outcome: TtlOutcome, out: ReplySink, unit: (ms: number) => number): void {
  switch (outcome.kind) {
    case 'expires':
      return out.integer(unit(outcome.ms));
    case 'persistent':
      return out.integer(-1);
    case 'missing':
      return out.integer(-2);
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return out.error(FAILURES[outcome.kind]);
  }
}
