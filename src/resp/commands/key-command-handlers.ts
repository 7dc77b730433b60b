import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { CommandGroup, KeyCommand } from '../../redis-commands/key-command.ts';
import { KEY_COMMANDS } from '../../redis-commands/key-command-table.ts';
import type { KeyReads } from '../../redis-commands/key-reads.ts';
import { QueryEncoder, type QuerySyntax } from '../../redis-commands/query-encoder.ts';
import { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Client } from '../server/client.ts';
import type { RespCommand, Replied } from './resp-command.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';
import { replyWith } from './reply-when-read.ts';

/** Maximum total size of the values in the reply to one command or one transaction. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** ACL categories of the groups of commands that have no category of the same name. */
const CATEGORIES: Readonly<Partial<Record<CommandGroup, readonly string[]>>> = {
  'sorted-set': ['sortedset'],
  generic: ['keyspace'],
  module: [],
};

/** Executes the commands that read keys. */
export class KeyCommandHandlers {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #hit: HitBuffer;
  readonly #encoder = new QueryEncoder();

  constructor(cache: CacheService, reads: KeyReads, hit: HitBuffer) {
    this.#cache = cache;
    this.#reads = reads;
    this.#hit = hit;
  }

  commands(): RespCommand[] {
    return KEY_COMMANDS.map((command) => ({
      ...command,
      categories: CATEGORIES[command.group] ?? [command.group],
      reads: command,
      run: (args, client, out) => this.#run(command, args, client, out),
    }));
  }

  /** Creates an empty plan for the commands of one request. */
  plan(client: Client): ReadPlan {
    return new ReadPlan(this.#cache, this.#reads, MAX_REPLY_BYTES, client);
  }

  #run(command: KeyCommand, args: readonly Buffer[], client: Client, out: ReplyWriter): Replied {
    if (!client.hasQueuedReplies && this.#tryHit(command, args, out)) return;
    const plan = this.plan(client);
    const write = plan.add(command, args);
    const { protocol } = client;
    return replyWith(plan, client, () => {
      out.protocol = protocol;
      write(out);
    });
  }

  /** Replies from the cache without an object for it, if that is possible. */
  #tryHit(command: KeyCommand, args: readonly Buffer[], out: ReplyWriter): boolean {
    const syntax = syntaxOf(command, args);
    if (syntax !== undefined && this.#tryReply(syntax, args, out)) return true;
    return command.fromValue !== undefined && this.#tryFromValue(command.fromValue, args, out);
  }

  /** Replies with the cached reply of Redis, if there is one. */
  #tryReply(syntax: QuerySyntax, args: readonly Buffer[], out: ReplyWriter): boolean {
    const encoder = this.#encoder;
    const hit = this.#hit;
    const { args: canonical, shape } = syntax.parse(args);
    if (!encoder.encode(syntax, canonical)) return false;
    if (!this.#cache.tryGetInto(encoder.bytes, 0, encoder.length, hit, encoder.selectorLength)) return false;
    this.#reads.countHit();
    out.reply(hit.bytes, hit.length, shape);
    return true;
  }

  /** Replies from the cached value of the only key, if there is one. */
  #tryFromValue(fromValue: NonNullable<KeyCommand['fromValue']>, args: readonly Buffer[], out: ReplyWriter): boolean {
    const [key] = args;
    const hit = this.#hit;
    const write = fromValue(args);
    if (write === undefined || !this.#cache.tryGetInto(key, 0, key.length, hit)) return false;
    this.#reads.countHit();
    write(hit.bytes.subarray(0, hit.length), out);
    return true;
  }
}

/** Returns the syntax of a command that is one query with these arguments; undefined if its reply is made of results. */
function syntaxOf(command: KeyCommand, args: readonly Buffer[]): QuerySyntax | undefined {
  if (command.returns === 'reply') return command.syntax;
  return command.returns === 'results' && args.length === 1 ? command.single : undefined;
}
