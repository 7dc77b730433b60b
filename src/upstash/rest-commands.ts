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
   * Plans the reads of commands, or rejects the request.
   *
   * @param counter counts the reads.
   */
  prepare(commands: readonly RestCommand[], counter: ReadCounter, client: ReadClient): PreparedCommands | BadRequest {
    const reads = new KeyReads('upstash', this.#access, counter);
    const plan = new ReadPlan(this.#cache, reads, this.#maxBytes, client);
    const replies = commands.map((command) =>
      typeof command === 'string' ? errorReply(command) : this.#prepare(command, plan, reads),
    );
    if (plan.keyCount > MAX_KEYS) return TOO_MANY_KEYS;
    return { plan, replies };
  }

  /** Adds the keys of a command to the plan. The checks and their order are Redis'. */
  #prepare([first, ...args]: readonly Buffer[], plan: ReadPlan, reads: KeyReads): WriteReply {
    const name = first.toString('latin1', 0, MAX_ECHOED_BYTES);
    const lower = name.toLowerCase();
    if (lower === 'ping') return args.length > 1 ? errorReply(wrongArguments(lower)) : bulkReply(args.at(0) ?? PONG);
    if (lower === 'echo') return args.length === 1 ? bulkReply(args[0]) : errorReply(wrongArguments(lower));
    const command = COMMANDS.get(lower);
    if (command === undefined) {
      this.#refused.count('upstash', lower);
      return errorReply(refusalOf(lower) ?? unknownCommand(name));
    }
    if (!matchesArity(command.arity, args.length + 1)) return errorReply(wrongArguments(lower));
    const denied = reads.checkKeys(keysOf(command.keys, args));
    if (denied !== undefined) return errorReply(denied);
    const refused = command.checkArguments?.(args);
    if (refused !== undefined) {
      this.#refused.count('upstash', lower);
      return errorReply(refused);
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
