import { Buffer } from 'node:buffer';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { countDigits, writeDecimal } from '../../net/decimal.ts';
import type { HttpResponse } from '../response/http-response.ts';
import { ageSeconds, lifetimeSeconds } from '../response/delta-seconds.ts';
import type { HitFields, KeyAnswerPolicy } from '../keys/key-response.ts';
import { type HttpDate, type Persistence, messageHead } from '../response/response-head.ts';

/** Characters that no header holds, each standing for a field until a hit's own is put in its place. */
const PLACEHOLDERS = { etag: '\x01', age: '\x02', lifetime: '\x03', ttl: '\x04', length: '\x05' } as const;
const ETAG_DIGITS = 24;
const HEX = Buffer.from('0123456789abcdef');

/** The head of the answer to a hit, in which all that differs from hit to hit has a fixed place. */
interface Template {
  readonly bytes: Buffer;
  /** Digits that there are places for. */
  readonly age: number;
  readonly lifetime: number;
  readonly ttl: number;
  readonly length: number;
  readonly revalidate: boolean;
  readonly etagAt: number;
  readonly ageAt: number;
  /** -1: there is none, as with the next. */
  readonly lifetimeAt: number;
  readonly ttlAt: number;
  readonly lengthAt: number;
}

/** More than any head of an answer to a hit that was ever seen, so that there is room for one. */
export const MAX_RESPONSE_HEAD_BYTES = 1024;

/**
 * Writes the answers to hits, or to misses just stored, as `keyAnswer` and `messageHead` have them: a template for each
 * combination of lengths of the numbers in it, made with placeholders by what makes all other answers, so that it alone
 * says what an answer looks like.
 */
export class ResponseHeadTemplates {
  readonly #policy: KeyAnswerPolicy;
  readonly #persistence: Persistence;
  readonly #date: HttpDate;
  readonly #templates = new Map<number, Template>();
  #latest: Template | undefined;
  #dateOfTemplates = '';

  readonly #headers: readonly string[];
  readonly #render: (fields: HitFields, policy: KeyAnswerPolicy) => HttpResponse;

  /**
   * @param render the answer that is to be written, `hitAnswer` or `storedAnswer`.
   * @param headers names and values that it has beside its own.
   */
  constructor(
    render: (fields: HitFields, policy: KeyAnswerPolicy) => HttpResponse,
    policy: KeyAnswerPolicy,
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

  /** Writes the head of the answer to a hit, as the request asked for, at `at`; answers where it ends. */
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
    writeDecimal(target, at + lengthAt, template.length, length);
    return at + bytes.length;
  }

  /** The one with so many digits. */
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
    const answer = this.#render(fields, { ...this.#policy, revalidate });
    const head = messageHead(answer, this.#dateOfTemplates, this.#persistence, this.#headers);
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
