import { Buffer } from 'node:buffer';
import type { Access } from '../access/access.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { ReadOutcome } from '../cache/read-outcome.ts';
import type { Unread } from '../cache/kept-outcomes.ts';
import type { ReadCounter } from '../cache/request-counts.ts';
import { type KeyCommand, KEY_COMMANDS, keysOf } from '../commands/key-command.ts';
import { KeyReads, NUMBERED_AT_ONCE } from '../commands/key-reads.ts';
import type { Read, ReplySink } from '../commands/key-replies.ts';
import { MAX_REPEATED, READ_ONLY, fits, unknownCommand, wrongArguments } from '../commands/refusals.ts';
import { WRITE_COMMANDS } from '../commands/write-commands.ts';
import { type BadRequest, type RestCommand, MAX_KEYS, TOO_MANY_KEYS } from './rest-request.ts';

/** Writes the reply to a command that has been carried out. */
export type WriteReply = (out: ReplySink) => void;

/** Bytes of values after which no other one is held when none of them is given, and there is no room for them. */
const NUMBERED_BYTES = 64 * 1024 * 1024;

const COMMANDS: ReadonlyMap<string, KeyCommand> = new Map(KEY_COMMANDS.map((command) => [command.name, command]));
const PONG = Buffer.from('PONG');

/** Carries commands out: all keys of a request are read together, whichever commands name them. */
export class RestCommands {
  readonly #cache: CacheService;
  readonly #access: Access;
  readonly #maxBytes: number;

  /** @param maxBytes once the values of a request are as many bytes together, no more are held to be given. */
  constructor(cache: CacheService, access: Access, maxBytes: number) {
    this.#cache = cache;
    this.#access = access;
    this.#maxBytes = maxBytes;
  }

  /**
   * The replies, in order; or nothing is carried out.
   *
   * @param counter counts the reads of keys.
   */
  async run(commands: readonly RestCommand[], counter: ReadCounter): Promise<readonly WriteReply[] | BadRequest> {
    const needs = new Needs(new KeyReads('upstash', this.#access, counter));
    const replies = commands.map((command) =>
      typeof command === 'string' ? failing(command) : this.#plan(command, needs),
    );
    if (needs.keyCount > MAX_KEYS) return TOO_MANY_KEYS;
    const [outcomes, expiries] = await Promise.all([
      needs.keys.length === 0 ? [] : this.#cache.readMany(needs.keys, this.#maxBytes),
      needs.expiring.length === 0 ? [] : this.#cache.expiries(needs.expiring),
    ]);
    needs.reads = await this.#allRead(outcomes, needs);
    needs.expiries = expiries.map((outcome) => needs.keyReads.expiry(outcome));
    return replies;
  }

  /** Notes what has to be known before the command can be replied to. The checks and their order are Redis'. */
  #plan([first, ...args]: readonly Buffer[], needs: Needs): WriteReply {
    const name = first.toString('latin1', 0, MAX_REPEATED);
    const lower = name.toLowerCase();
    if (lower === 'ping') return args.length > 1 ? failing(wrongArguments(lower)) : giving(args.at(0) ?? PONG);
    if (lower === 'echo') return args.length === 1 ? giving(args[0]) : failing(wrongArguments(lower));
    const command = COMMANDS.get(lower);
    if (command === undefined) return failing(WRITE_COMMANDS.has(lower) ? READ_ONLY : unknownCommand(name));
    if (!fits(command.arity, args.length + 1)) return failing(wrongArguments(lower));
    const keys = keysOf(command, args);
    const refused = needs.keyReads.refuse(keys);
    if (refused !== undefined) return failing(refused);
    if (command.asks === 'expiry') {
      const at = needs.expiring.push(keys[0]) - 1;
      return (out) => command.write(needs.expiries[at], out);
    }
    const write = command.reply(args);
    if (typeof write === 'string') return failing(write);
    const from = needs.add(keys, command.gives === 'number');
    return (out) => write(needs.reads.slice(from, from + keys.length), out);
  }

  async #allRead(outcomes: readonly (ReadOutcome | Unread)[], needs: Needs): Promise<readonly Read[]> {
    const reads = outcomes.map((outcome) => needs.keyReads.read(outcome));
    // What no value of is given does not have to fit in the answer.
    const left = needs.numbered.filter((at) => outcomes[at].kind === 'unread');
    for (let from = 0; from < left.length; from += NUMBERED_AT_ONCE) {
      const part = left.slice(from, from + NUMBERED_AT_ONCE);
      const found = await this.#cache.readMany(
        part.map((at) => needs.keys[at]),
        NUMBERED_BYTES,
      );
      part.forEach((at, i) => (reads[at] = needs.keyReads.read(found[i])));
    }
    return reads;
  }
}

/** What the commands of a request need to know, and what was found. */
class Needs {
  readonly keyReads: KeyReads;
  readonly keys: Buffer[] = [];
  /** Places of the keys of which no value is given. */
  readonly numbered: number[] = [];
  readonly expiring: Buffer[] = [];
  reads: readonly Read[] = [];
  expiries: Awaited<ReturnType<CacheService['expiries']>> = [];

  constructor(keyReads: KeyReads) {
    this.keyReads = keyReads;
  }

  get keyCount(): number {
    return this.keys.length + this.expiring.length;
  }

  /** Answers the place of the first of the keys. */
  add(keys: readonly Buffer[], isNumbered: boolean): number {
    const from = this.keys.length;
    for (const key of keys) {
      if (isNumbered) this.numbered.push(this.keys.length);
      this.keys.push(key);
    }
    return from;
  }
}

function failing(error: string): WriteReply {
  return (out) => out.error(error);
}

function giving(text: Buffer): WriteReply {
  return (out) => out.bulk(text);
}
