import { Buffer } from 'node:buffer';
import type { ReplySink } from '../redis-commands/key-replies.ts';
import type { JsonPart } from '../http/response/json/results-body.ts';

/** A reply of Redis, encoded in RESP2. */
interface RedisReply {
  readonly reply: Buffer;
}

/** The result of a command. */
export type RestValue = null | number | Buffer | RedisReply | readonly RestValue[];

/** How strings are encoded: in base64, or as text, in which U+FFFD replaces invalid UTF-8. */
export type RestEncoding = 'base64' | 'utf8';

/** Collects the reply to one command, and renders it as JSON. */
export class RestReply implements ReplySink {
  #values: RestValue[] = [];
  #isArray = false;
  #error: string | undefined;

  /** The error; undefined if the command succeeded. */
  get failure(): string | undefined {
    return this.#error;
  }

  /** @param text one character for each byte of UTF-8. */
  error(text: string): void {
    this.#error = Buffer.from(text, 'latin1').toString();
  }

  integer(value: number): void {
    this.#values.push(value);
  }

  /** Clients do not distinguish it from other strings. */
  simple(text: string): void {
    this.bulk(Buffer.from(text));
  }

  null(): void {
    this.#values.push(null);
  }

  /** Called at most once, before the elements. */
  array(): void {
    this.#isArray = true;
  }

  bulk(value: Buffer): void {
    this.#values.push(value);
  }

  /** In JSON all replies are as in RESP2: doubles are strings, and maps are arrays of fields and values. */
  reply(encoded: Buffer, length: number): void {
    this.#values.push({ reply: encoded.subarray(0, length) });
  }

  /** Renders `{"result": …}` or `{"error": "…"}`. */
  toParts(encoding: RestEncoding): readonly JsonPart[] {
    if (this.#error !== undefined) return [JSON.stringify({ error: this.#error })];
    return ['{"result":', ...partsOf(this.#isArray ? this.#values : this.#values[0], encoding), '}'];
  }
}

/** Renders a value as JSON, with its strings still to be encoded. */
export function partsOf(value: RestValue, encoding: RestEncoding): JsonPart[] {
  if (value === null || typeof value === 'number') return [String(value)];
  if (Buffer.isBuffer(value)) return [{ value, encoding }];
  if ('reply' in value) return [{ reply: value.reply, encoding }];
  return [
    '[',
    ...value.flatMap((each, i) => (i === 0 ? partsOf(each, encoding) : [',', ...partsOf(each, encoding)])),
    ']',
  ];
}
