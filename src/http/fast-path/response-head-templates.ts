import { Buffer } from 'node:buffer';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { countDigits, writeDecimal } from '../../net/decimal.ts';
import type { HttpResponse } from '../response/http-response.ts';
import { ageSeconds, lifetimeSeconds } from '../keys/delta-seconds.ts';
import type { HitFields, KeyResponsePolicy } from '../keys/key-response.ts';
import { type HttpDate, type Persistence, responseHead } from '../response/response-head.ts';

/** Characters that cannot occur in a header; each marks a field to be overwritten per hit. */
const PLACEHOLDERS = { etag: '\x01', age: '\x02', lifetime: '\x03', ttl: '\x04', length: '\x05' } as const;
const ETAG_DIGITS = 24;
const HEX = Buffer.from('0123456789abcdef');

/** A rendered response head in which each variable field has a fixed position and width. */
interface Template {
  readonly bytes: Buffer;
  /** Widths of the numbers, in digits. */
  readonly age: number;
  readonly lifetime: number;
  readonly ttl: number;
  readonly length: number;
  readonly revalidate: boolean;
  readonly etagAt: number;
  readonly ageAt: number;
  /** -1 if absent, as for `ttlAt` and `lengthAt`. */
  readonly lifetimeAt: number;
  readonly ttlAt: number;
  readonly lengthAt: number;
}

/** Upper bound for the head of a response to a hit, in bytes. */
export const MAX_RESPONSE_HEAD_BYTES = 1024;

/**
 * Writes the heads of responses to hits, or to misses that were just stored, by filling in templates: one for each
 * combination of number widths. A template is rendered, with placeholders, by the functions that render all other
 * responses, so that the fast path cannot differ from the controller.
 */
export class ResponseHeadTemplates {
  readonly #policy: KeyResponsePolicy;
  readonly #persistence: Persistence;
  readonly #date: HttpDate;
  readonly #templates = new Map<number, Template>();
  #latest: Template | undefined;
  #dateOfTemplates = '';

  readonly #headers: readonly string[];
  readonly #render: (fields: HitFields, policy: KeyResponsePolicy) => HttpResponse;

  /**
   * @param render renders the response: `hitResponse` or `storedResponse`.
   * @param headers names and values added to the response's own.
   */
  constructor(
    render: (fields: HitFields, policy: KeyResponsePolicy) => HttpResponse,
    policy: KeyResponsePolicy,
    keepAliveTimeoutMs: number,
    date: HttpDate,
    headers: readonly string[] = [],
  ) {
    this.#headers = headers;
    this.#render = render;
    this.#policy = policy;
    this.#persistence = { close: false, keepAliveTimeoutMs };
    this.#date = date;
  }

  /** Writes the head of a response at `at`, and returns its end. */
  write(hit: HitBuffer, target: Buffer, at: number): number {
    const age = ageSeconds(hit.ageMs);
    const lifetime = lifetimeSeconds(hit.lifetimeMs);
    const ttl = lifetimeSeconds(hit.lifetimeMs - hit.ageMs);
    const { length } = hit;
    const { revalidate } = this.#policy;
    const template = this.#template(
      countDigits(age),
      countDigits(lifetime),
      countDigits(ttl),
      countDigits(length),
      revalidate,
    );
    const { bytes, etagAt, ageAt, lifetimeAt, ttlAt, lengthAt } = template;
    target.set(bytes, at);
    const { etag } = hit;
    writeHex(target, at + etagAt, etag[0]);
    writeHex(target, at + etagAt + 8, etag[1]);
    writeHex(target, at + etagAt + 16, etag[2]);
    writeDecimal(target, at + ageAt, template.age, age);
    if (lifetimeAt !== -1) writeDecimal(target, at + lifetimeAt, template.lifetime, lifetime);
    if (ttlAt !== -1) writeDecimal(target, at + ttlAt, template.ttl, ttl);
    if (lengthAt !== -1) writeDecimal(target, at + lengthAt, template.length, length);
    return at + bytes.length;
  }

  /** Returns the template for these number widths, in digits. */
  #template(age: number, lifetime: number, ttl: number, length: number, revalidate: boolean): Template {
    const date = this.#date.now;
    if (date !== this.#dateOfTemplates) {
      this.#templates.clear();
      this.#latest = undefined;
      this.#dateOfTemplates = date;
    }
    const latest = this.#latest;
    if (
      latest?.age === age &&
      latest.lifetime === lifetime &&
      latest.ttl === ttl &&
      latest.length === length &&
      latest.revalidate === revalidate
    ) {
      return latest;
    }
    const kind = age | (lifetime << 5) | (ttl << 10) | (length << 15) | (revalidate ? 1 << 20 : 0);
    const template = this.#templates.get(kind) ?? this.#make(age, lifetime, ttl, length, revalidate);
    this.#templates.set(kind, template);
    this.#latest = template;
    return template;
  }

  #make(age: number, lifetime: number, ttl: number, length: number, revalidate: boolean): Template {
    const fields: HitFields = {
      etag: `"${PLACEHOLDERS.etag.repeat(ETAG_DIGITS)}"`,
      age: PLACEHOLDERS.age.repeat(age),
      lifetime: PLACEHOLDERS.lifetime.repeat(lifetime),
      ttl: PLACEHOLDERS.ttl.repeat(ttl),
      length: PLACEHOLDERS.length.repeat(length),
    };
    const response = this.#render(fields, { ...this.#policy, revalidate });
    const head = responseHead(response, this.#dateOfTemplates, this.#persistence, this.#headers);
    return {
      bytes: Buffer.from(head, 'latin1'),
      age,
      lifetime,
      ttl,
      length,
      revalidate,
      etagAt: head.indexOf(PLACEHOLDERS.etag),
      ageAt: head.indexOf(PLACEHOLDERS.age),
      lifetimeAt: head.indexOf(PLACEHOLDERS.lifetime),
      ttlAt: head.indexOf(PLACEHOLDERS.ttl),
      lengthAt: head.indexOf(PLACEHOLDERS.length),
    };
  }
}

function writeHex(target: Buffer, at: number, word: number): void {
  for (let i = 0, shift = 28; i < 8; i++, shift -= 4) target[at + i] = HEX[(word >>> shift) & 15];
}
