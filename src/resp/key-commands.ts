import type { Access } from '../access/access.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Hit } from '../cache/hit.ts';
import type { ReadOutcome } from '../cache/read-outcome.ts';
import type { Unread } from '../cache/kept-outcomes.ts';
import type { ReadCounter } from '../cache/request-counts.ts';
import { type ExpiryCommand, KEY_COMMANDS, type ValueCommand, keysOf } from '../commands/key-command.ts';
import { KeyReads, NUMBERED_AT_ONCE } from '../commands/key-reads.ts';
import { type Read, type WriteReads, failureAmong } from '../commands/key-replies.ts';
import type { Command, Replied } from './command.ts';
import type { ReplyWriter } from './reply-writer.ts';

/** Bytes of values after which no other one is held for a reply. */
const MOST_REPLY_BYTES = 64 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/** The commands that read keys. */
export class KeyCommands {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #hit: Hit;

  constructor(cache: CacheService, counts: ReadCounter, access: Access, hit: Hit) {
    this.#cache = cache;
    this.#reads = new KeyReads('resp', access, counts);
    this.#hit = hit;
  }

  commands(): Command[] {
    return KEY_COMMANDS.map((command) => ({
      ...command,
      flags: ['readonly', 'fast'],
      run: (args, _client, out) => {
        const keys = keysOf(command, args);
        const refused = this.#reads.refuse(keys);
        if (refused !== undefined) return out.error(refused);
        return command.asks === 'values' ? this.#values(command, args, keys, out) : this.#expiry(command, keys[0], out);
      },
    }));
  }

  #values({ gives, reply }: ValueCommand, args: readonly Buffer[], keys: readonly Buffer[], out: ReplyWriter): Replied {
    const write = reply(args);
    if (typeof write === 'string') return out.error(write);
    if (keys.length === 1) return this.#one(keys[0], write, out);
    const kept = keys.map((key) => Buffer.from(key));
    if (gives === 'number' && keys.length > NUMBERED_AT_ONCE) return this.#inParts(kept, write, out);
    const outcomes = this.#cache.readMany(kept, MOST_REPLY_BYTES);
    if (!(outcomes instanceof Promise)) return write(this.#allRead(outcomes), out);
    return late(
      outcomes.then((found) => this.#allRead(found)),
      write,
      out,
    );
  }

  #one(key: Buffer, write: WriteReads, out: ReplyWriter): Replied {
    if (this.#cache.hit(key, 0, key.length, this.#hit)) {
      this.#reads.hit();
      return write([{ value: this.#hit.bytes.subarray(0, this.#hit.length) }], out);
    }
    const outcome = this.#cache.read(Buffer.from(key));
    if (!(outcome instanceof Promise)) return write([this.#reads.read(outcome)], out);
    return late(
      outcome.then((found) => [this.#reads.read(found)]),
      write,
      out,
    );
  }

  /** Values are read with their keys, and it takes none of them to count the keys: so not all are held at once. */
  async #inParts(keys: readonly Buffer[], write: WriteReads, out: ReplyWriter): Promise<() => void> {
    const reads: Read[] = [];
    for (let from = 0; from < keys.length && failureAmong(reads) === undefined; from += NUMBERED_AT_ONCE) {
      const part = await this.#cache.readMany(keys.slice(from, from + NUMBERED_AT_ONCE), MOST_REPLY_BYTES);
      for (const read of this.#allRead(part)) {
        reads.push(read !== undefined && 'value' in read ? { value: NOTHING } : read);
      }
    }
    return () => write(reads, out);
  }

  #allRead(outcomes: readonly (ReadOutcome | Unread)[]): readonly Read[] {
    return outcomes.map((outcome) => this.#reads.read(outcome));
  }

  async #expiry({ write }: ExpiryCommand, key: Buffer, out: ReplyWriter): Promise<() => void> {
    const outcome = this.#reads.expiry(await this.#cache.expiry(Buffer.from(key)));
    return () => write(outcome, out);
  }
}

/** Writes a reply when its turn has come, in the protocol that was spoken when it was asked for. */
async function late(reads: Promise<readonly Read[]>, write: WriteReads, out: ReplyWriter): Promise<() => void> {
  const { protocol } = out;
  const found = await reads;
  return () => {
    out.protocol = protocol;
    write(found, out);
  };
}
