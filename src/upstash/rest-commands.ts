import { Buffer } from 'node:buffer';
import type { Access } from '../access/access.ts';
import type { ReadClient } from '../cache/read-through/buffered-bytes.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { ReadCounter } from '../instance/read-metrics.ts';
import type { KeyCommand } from '../redis-commands/key-command.ts';
import { KEY_COMMANDS, keysOf } from '../redis-commands/key-command-table.ts';
import { KeyReads } from '../redis-commands/key-reads.ts';
import type { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { type WriteReply, ReadPlan } from '../redis-commands/read-plan.ts';
import { MAX_ECHOED_BYTES, matchesArity, unknownCommand, wrongArguments } from '../redis-commands/error-replies.ts';
import { refusalOf } from '../redis-commands/refusals.ts';
import { type BadRequest, type RestCommand, MAX_KEYS, TOO_MANY_KEYS } from './rest-request.ts';

const COMMANDS: ReadonlyMap<string, KeyCommand> = new Map(KEY_COMMANDS.map((command) => [command.name, command]));
const PONG = Buffer.from('PONG');

/** Commands whose keys are read together, and their replies in order. */
export interface PreparedCommands {
  readonly plan: ReadPlan;
  readonly replies: readonly WriteReply[];
}

/** Executes commands: all keys of a request are read together. */
export class RestCommands {
  readonly #cache: CacheService;
  readonly #access: Access;
  readonly #maxBytes: number;
  readonly #refused: RefusedCommands;

  /** @param maxBytes limit for the values of one request; values beyond it are omitted. */
  constructor(cache: CacheService, access: Access, refused: RefusedCommands, maxBytes: number) {
    this.#cache = cache;
    this.#access = access;
    this.#refused = refused;
    this.#maxBytes = maxBytes;
  }

  /**
   * Plans the reads of commands, or rejects the request. A command that is rejected is an error at its position.
   *
   * @param counter counts the reads.
   */
  prepare(commands: readonly RestCommand[], counter: ReadCounter, client: ReadClient): PreparedCommands | BadRequest {
    const { plan, prepared } = this.#plan(commands, counter, client);
    if (plan.keyCount > MAX_KEYS) return TOO_MANY_KEYS;
    return { plan, replies: prepared.map((reply) => (typeof reply === 'string' ? errorReply(reply) : reply)) };
  }

  /** As {@link prepare}, for a transaction: a command that is rejected discards it, as EXEC does in Redis. */
  prepareTransaction(
    commands: readonly RestCommand[],
    counter: ReadCounter,
    client: ReadClient,
  ): PreparedCommands | BadRequest {
    const { plan, prepared } = this.#plan(commands, counter, client);
    if (plan.keyCount > MAX_KEYS) return TOO_MANY_KEYS;
    const rejected = prepared.find((reply) => typeof reply === 'string');
    if (rejected !== undefined) return discarded(rejected);
    return { plan, replies: prepared.filter((reply) => typeof reply !== 'string') };
  }

  /** Plans the reads of commands; a command that is rejected is an error in `prepared`. */
  #plan(commands: readonly RestCommand[], counter: ReadCounter, client: ReadClient) {
    const reads = new KeyReads('upstash', this.#access, counter);
    const plan = new ReadPlan(this.#cache, reads, this.#maxBytes, client);
    const prepared = commands.map((command) =>
      typeof command === 'string' ? command : this.#prepare(command, plan, reads),
    );
    return { plan, prepared };
  }

  /** Adds the keys of a command to the plan, or returns an error. The checks and their order are Redis'. */
  #prepare([first, ...args]: readonly Buffer[], plan: ReadPlan, reads: KeyReads): WriteReply | string {
    const name = first.toString('latin1', 0, MAX_ECHOED_BYTES);
    const lower = name.toLowerCase();
    if (lower === 'ping') return args.length > 1 ? wrongArguments(lower) : bulkReply(args.at(0) ?? PONG);
    if (lower === 'echo') return args.length === 1 ? bulkReply(args[0]) : wrongArguments(lower);
    const command = COMMANDS.get(lower);
    if (command === undefined) {
      this.#refused.count('upstash', lower);
      return refusalOf(lower) ?? unknownCommand(name);
    }
    if (!matchesArity(command.arity, args.length + 1)) return wrongArguments(lower);
    const denied = reads.checkKeys(keysOf(command.keys, args));
    if (denied !== undefined) return denied;
    const refused = command.checkArguments?.(args);
    if (refused !== undefined) {
      this.#refused.count('upstash', lower);
      return refused;
    }
    return plan.add(command, args);
  }
}

function errorReply(error: string): WriteReply {
  return (out) => out.error(error);
}

function bulkReply(text: Buffer): WriteReply {
  return (out) => out.bulk(text);
}

/** @param error an error reply: one character for each byte. */
function discarded(error: string): BadRequest {
  const text = Buffer.from(error, 'latin1').toString();
  return { error: `EXECABORT Transaction discarded because of: ${text}`, tooMuch: false };
}
