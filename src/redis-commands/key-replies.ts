import type { TtlOutcome } from '../cache/read-through/key-queries.ts';
import { INTEGER, ReplyCursor } from '../replies/reply-cursor.ts';
import type { ReplyShape } from '../replies/reply-shape.ts';

/** Error replies for keys that could not be read: error code and message. */
export const FAILURES = {
  'wrong-type': 'WRONGTYPE Operation against a key holding the wrong kind of value',
  'value-too-large': 'ERR value exceeds REDIS_MAX_VALUE_BYTES',
  timeout: 'TIMEOUT Redis did not reply in time',
  unavailable: 'UNAVAILABLE Redis is unavailable',
  overloaded: 'OVERLOADED too many Redis reads are queued',
  'too-large': 'ERR values exceed the size limit of one reply: request fewer keys',
} as const;

/**
 * Result of a query, as commands see it: the value of a key or the reply of Redis; why there is none; Redis' error reply; or
 * undefined: the key of a GET does not exist.
 */
export type ReadResult =
  { readonly value: Buffer } | { readonly failure: keyof typeof FAILURES } | { readonly error: string } | undefined;

/** Encodes a reply in the client's protocol. */
export interface ReplySink {
  /** @param text error code, a space, and the message, with one character for each byte. */
  error(text: string): void;
  integer(value: number): void;
  /** @param text ASCII, without line ends. */
  simple(text: string): void;
  null(): void;
  /** Writes the header of an array; its elements must follow. */
  array(length: number): void;
  bulk(value: Buffer): void;
  /** Writes a reply of Redis, encoded in RESP2: the first `length` bytes. */
  reply(encoded: Buffer, length: number, shape: ReplyShape): void;
}

/** Writes the reply to a command whose queries have been read. */
export type WriteResults = (results: readonly ReadResult[], out: ReplySink) => void;

export function writeValue([result]: readonly ReadResult[], out: ReplySink): void {
  const error = errorOf(result);
  if (error !== undefined) out.error(error);
  else if (result !== undefined && 'value' in result) out.bulk(result.value);
  else out.null();
}

/** Returns a function that writes the reply of Redis to a query. */
export function writeReply(shape: ReplyShape): WriteResults {
  return ([result], out) => {
    if (result !== undefined && 'value' in result) out.reply(result.value, result.value.length, shape);
    else out.error(errorOf(result) ?? FAILURES.unavailable);
  };
}

export function writeValues(results: readonly ReadResult[], out: ReplySink): void {
  const error = firstError(results, isWrongType);
  if (error !== undefined) return out.error(error);
  out.array(results.length);
  for (const result of results) {
    if (result !== undefined && 'value' in result) out.bulk(result.value);
    else out.null();
  }
}

/** Writes the reply of JSON.MGET from those of JSON.GET: null for keys of other types, and for paths that do not exist. */
export function writeDocuments(results: readonly ReadResult[], out: ReplySink): void {
  const error = firstError(results, isErrorOfDocument);
  if (error !== undefined) return out.error(error);
  out.array(results.length);
  for (const result of results) {
    if (result !== undefined && 'value' in result) out.reply(result.value, result.value.length, 'same');
    else out.null();
  }
}

/** Writes the sum of the replies of EXISTS. */
export function writeCount(results: readonly ReadResult[], out: ReplySink): void {
  const error = firstError(results);
  if (error !== undefined) return out.error(error);
  out.integer(
    results.reduce((sum, result) => sum + (result !== undefined && 'value' in result ? integerIn(result.value) : 0), 0),
  );
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

function errorOf(result: ReadResult): string | undefined {
  if (result === undefined || 'value' in result) return undefined;
  return 'error' in result ? result.error : FAILURES[result.failure];
}

/**
 * Returns the error of the first result that has one. It fails the whole command: an unreadable value must not be reported
 * as missing.
 *
 * @param isMissing whether a result is reported as missing although it has an error.
 */
function firstError(
  results: readonly ReadResult[],
  isMissing: (result: ReadResult) => boolean = () => false,
): string | undefined {
  for (const result of results) {
    const error = errorOf(result);
    if (error !== undefined && !isMissing(result)) return error;
  }
  return undefined;
}

function isWrongType(result: ReadResult): boolean {
  return result !== undefined && 'failure' in result && result.failure === 'wrong-type';
}

/** Whether Redis replied with an error about the document, not one that says that there is no such command. */
function isErrorOfDocument(result: ReadResult): boolean {
  return result !== undefined && 'error' in result && !/^ERR unknown command/.test(result.error);
}

/** Returns the value of a reply that is an integer; 0 for any other reply. */
function integerIn(reply: Buffer): number {
  const cursor = new ReplyCursor();
  cursor.start(reply);
  cursor.next();
  return cursor.type === INTEGER ? Number(cursor.value().toString('latin1')) : 0;
}
