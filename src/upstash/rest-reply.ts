import { Buffer } from 'node:buffer';
import type { ReplySink } from '../redis-commands/key-replies.ts';
import type { JsonPart } from '../http/response/results-body.ts';

/** What a command has given. */
export type RestValue = null | number | Buffer | readonly RestValue[];

/** How strings are written: in base64, or as UTF-8, in which what is none becomes U+FFFD. */
export type RestEncoding = 'base64' | 'utf8';

/** Takes the reply to one command, and gives it as JSON. */
export class RestReply implements ReplySink {
  #values: RestValue[] = [];
  #isArray = false;
  #error: string | undefined;

  /** What went wrong; undefined: nothing did. */
  get failure(): string | undefined {
    return this.#error;
  }

  /** @param text a character for each byte: what it repeats of a request is UTF-8. */
  error(text: string): void {
    this.#error = Buffer.from(text, 'latin1').toString();
  }

  integer(value: number): void {
    this.#values.push(value);
  }

  /** A string like any other to the client. */
  simple(text: string): void {
    this.bulk(Buffer.from(text));
  }

  null(): void {
    this.#values.push(null);
  }

  /** At most one, and before all else. */
  array(): void {
    this.#isArray = true;
  }

  bulk(value: Buffer): void {
    this.#values.push(value);
  }

  /** `{"result": …}` or `{"error": "…"}`. */
  toParts(encoding: RestEncoding): readonly JsonPart[] {
    if (this.#error !== undefined) return [JSON.stringify({ error: this.#error })];
    return ['{"result":', ...partsOf(this.#isArray ? this.#values : this.#values[0], encoding), '}'];
  }
}

/** A value as JSON has it, with all strings in it to be encoded. */
export function partsOf(value: RestValue, encoding: RestEncoding): JsonPart[] {
  if (value === null || typeof value === 'number') return [String(value)];
  if (isBytes(value)) return [{ value, encoding }];
  return [
    '[',
    ...value.flatMap((each, i) => (i === 0 ? partsOf(each, encoding) : [',', ...partsOf(each, encoding)])),
    ']',
  ];
}

function isBytes(value: Buffer | readonly RestValue[]): value is Buffer {
  return !Array.isArray(value);
}
