import { hash, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const SHOWN = '[secret]';

/** A value that is given away only by asking for it, never by printing, logging or serialising what holds it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** Compares in a time that says nothing about the value, its length included. */
  equals(other: string): boolean {
    return timingSafeEqual(hash('sha256', this.#value, 'buffer'), hash('sha256', other, 'buffer'));
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
