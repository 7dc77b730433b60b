import type { Access } from '../access/access.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { ExpiryOutcome } from '../cache/key-expiry.ts';
import type { Hit } from '../cache/hit.ts';
import type { Unread } from '../cache/read-through.ts';
import { type ReadOutcome, outcomeName } from '../cache/read-outcome.ts';
import type { RequestCounts } from '../cache/request-counts.ts';
import type { Command, Handler, Replied } from './command.ts';
import type { ReplyWriter } from './reply-writer.ts';

/** Keys are as long as they may be over HTTP. */
export const MAX_KEY_BYTES = 64 * 1024;

/** What stands for the reading of a key that has failed: the code word, and the cause. */
const FAILURES = {
  'wrong-type': 'WRONGTYPE Operation against a key holding the wrong kind of value',
  'value-too-large': 'ERR the value has more bytes than are read of Redis',
  timeout: 'TIMEOUT Redis did not answer in time',
  unavailable: 'UNAVAILABLE Redis cannot be reached',
  overloaded: 'OVERLOADED too many reads wait for Redis',
  'too-large': 'ERR the values are too many bytes for one reply: ask for fewer keys at once',
} as const;

/** Bytes of values after which no other one is put in a reply. */
const MOST_REPLY_BYTES = 64 * 1024 * 1024;
/** Keys whose values are held at once to count them. */
const EXISTS_AT_ONCE = 32;

const KEY_TOO_LONG = `ERR a key may have ${MAX_KEY_BYTES} bytes`;
const KEY_NOT_ALLOWED = 'NOPERM No permissions to access a key';

/** What a read has given, as far as the protocol tells it apart. */
type Read = { readonly value: Buffer } | { readonly failure: keyof typeof FAILURES } | undefined;

/** The commands that read keys. */
export class KeyCommands {
  readonly #cache: CacheService;
  readonly #counts: RequestCounts;
  readonly #access: Access;
  readonly #hit: Hit;

  constructor(cache: CacheService, counts: RequestCounts, access: Access, hit: Hit) {
    this.#cache = cache;
    this.#counts = counts;
    this.#access = access;
    this.#hit = hit;
  }

  commands(): Command[] {
    const read = { flags: ['readonly', 'fast'] } as const;
    const one = { ...read, arity: 2, keys: [1, 1, 1] } as const;
    const many = { ...read, arity: -2, keys: [1, -1, 1] } as const;
    return [
      {
        ...one,
        name: 'get',
        summary: 'Get the value of a key',
        since: '1.0.0',
        group: 'string',
        run: this.#checked((args, _client, out) => this.#get(args[0], out)),
      },
      {
        ...many,
        name: 'mget',
        summary: 'Get the values of all the given keys',
        since: '1.0.0',
        group: 'string',
        run: this.#checked((args, _client, out) => this.#readAll(args, out, writeValues)),
      },
      {
        ...many,
        name: 'exists',
        summary: 'Determine if a key exists',
        since: '1.0.0',
        group: 'generic',
        run: this.#checked((args, _client, out) => this.#exists(args, out)),
      },
      {
        ...one,
        name: 'strlen',
        summary: 'Get the length of the value stored in a key',
        since: '2.2.0',
        group: 'string',
        run: this.#checked((args, _client, out) => this.#strlen(args[0], out)),
      },
      {
        ...one,
        name: 'ttl',
        summary: 'Get the time to live for a key in seconds',
        since: '1.0.0',
        group: 'generic',
        run: this.#checked((args, _client, out) => this.#expiry(args[0], out, (ms) => Math.floor((ms + 500) / 1000))),
      },
      {
        ...one,
        name: 'pttl',
        summary: 'Get the time to live for a key in milliseconds',
        since: '2.6.0',
        group: 'generic',
        run: this.#checked((args, _client, out) => this.#expiry(args[0], out, (ms) => ms)),
      },
    ];
  }

  /** Refuses keys that are too long, or must not be read. */
  #checked(handler: Handler): Handler {
    return (args, client, out) => {
      if (args.some((key) => key.length > MAX_KEY_BYTES)) {
        this.#counts.countRead('resp', 'bad-key');
        return out.error(KEY_TOO_LONG);
      }
      if (!args.every((key) => this.#access.allowsKey(key))) {
        this.#counts.countRead('resp', 'not-allowed');
        return out.error(KEY_NOT_ALLOWED);
      }
      return handler(args, client, out);
    };
  }

  #get(key: Buffer, out: ReplyWriter): Replied {
    if (this.#cache.hit(key, 0, key.length, this.#hit)) {
      this.#counts.countRead('resp', 'hit');
      return out.bulk(this.#hit.bytes.subarray(0, this.#hit.length));
    }
    return this.#whenRead(key, out, (read) => writeValue(read, out));
  }

  #strlen(key: Buffer, out: ReplyWriter): Replied {
    if (this.#cache.hit(key, 0, key.length, this.#hit)) {
      this.#counts.countRead('resp', 'hit');
      return out.integer(this.#hit.length);
    }
    return this.#whenRead(key, out, (read) => writeLength(read, out));
  }

  #whenRead(key: Buffer, out: ReplyWriter, write: (read: Read) => void): Replied {
    const { protocol } = out;
    const outcome = this.#cache.read(Buffer.from(key));
    if (!(outcome instanceof Promise)) return write(this.#counted(outcome));
    return outcome.then((late) => {
      const read = this.#counted(late);
      return () => {
        out.protocol = protocol;
        write(read);
      };
    });
  }

  #readAll(
    keys: readonly Buffer[],
    out: ReplyWriter,
    write: (reads: readonly Read[], out: ReplyWriter) => void,
  ): Replied {
    const { protocol } = out;
    const outcomes = this.#cache.readMany(
      keys.map((key) => Buffer.from(key)),
      MOST_REPLY_BYTES,
    );
    if (!(outcomes instanceof Promise)) return write(this.#allCounted(outcomes), out);
    return outcomes.then((late) => {
      const reads = this.#allCounted(late);
      return () => {
        out.protocol = protocol;
        write(reads, out);
      };
    });
  }

  #exists(keys: readonly Buffer[], out: ReplyWriter): Replied {
    if (keys.length <= EXISTS_AT_ONCE) return this.#readAll(keys, out, writeNumber);
    return this.#existsInParts(
      keys.map((key) => Buffer.from(key)),
      out,
    );
  }

  /** Values are read with their keys, and it takes none of them to count the keys: so not all are held at once. */
  async #existsInParts(keys: readonly Buffer[], out: ReplyWriter): Promise<() => void> {
    let found = 0;
    for (let from = 0; from < keys.length; from += EXISTS_AT_ONCE) {
      const reads = this.#allCounted(await this.#cache.readMany(keys.slice(from, from + EXISTS_AT_ONCE)));
      const failure = failureAmong(reads);
      if (failure !== undefined) return () => out.error(FAILURES[failure]);
      found += existing(reads);
    }
    return () => out.integer(found);
  }

  #allCounted(outcomes: readonly (ReadOutcome | Unread)[]): readonly Read[] {
    let bytes = 0;
    return outcomes.map((outcome) => {
      if (outcome.kind === 'unread' || bytes >= MOST_REPLY_BYTES) return { failure: 'too-large' };
      const read = this.#counted(outcome);
      if (read !== undefined && 'value' in read) bytes += read.value.length;
      return read;
    });
  }

  async #expiry(key: Buffer, out: ReplyWriter, unit: (ms: number) => number): Promise<() => void> {
    const outcome = await this.#cache.expiry(Buffer.from(key));
    return () => writeExpiry(outcome, out, unit);
  }

  #counted(outcome: ReadOutcome): Read {
    this.#counts.countRead('resp', outcomeName(outcome));
    switch (outcome.kind) {
      case 'hit':
      case 'stale':
      case 'value':
        return { value: outcome.value };
      case 'missing':
      case 'absent':
        return undefined;
      case 'wrong-type':
      case 'value-too-large':
      case 'timeout':
      case 'unavailable':
      case 'overloaded':
        return { failure: outcome.kind };
    }
  }
}

function writeValue(read: Read, out: ReplyWriter): void {
  if (read === undefined) out.null();
  else if ('value' in read) out.bulk(read.value);
  else out.error(FAILURES[read.failure]);
}

function writeLength(read: Read, out: ReplyWriter): void {
  if (read === undefined) out.integer(0);
  else if ('value' in read) out.integer(read.value.length);
  else out.error(FAILURES[read.failure]);
}

/** The first read that has failed fails them all: a value that could not be read is not one that is not there. */
function failureAmong(reads: readonly Read[]): keyof typeof FAILURES | undefined {
  for (const read of reads) {
    if (read !== undefined && 'failure' in read && read.failure !== 'wrong-type') return read.failure;
  }
  return undefined;
}

function writeValues(reads: readonly Read[], out: ReplyWriter): void {
  const failure = failureAmong(reads);
  if (failure !== undefined) return out.error(FAILURES[failure]);
  out.array(reads.length);
  for (const read of reads) {
    if (read !== undefined && 'value' in read) out.bulk(read.value);
    else out.null();
  }
}

/** How many exist; one that holds no string does. */
function writeNumber(reads: readonly Read[], out: ReplyWriter): void {
  const failure = failureAmong(reads);
  if (failure !== undefined) out.error(FAILURES[failure]);
  else out.integer(existing(reads));
}

function existing(reads: readonly Read[]): number {
  return reads.filter((read) => read !== undefined).length;
}

function writeExpiry(outcome: ExpiryOutcome, out: ReplyWriter, unit: (ms: number) => number): void {
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
