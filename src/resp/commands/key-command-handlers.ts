import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { KEY_COMMANDS, type KeyCommand, keysOf } from '../../redis-commands/key-command-table.ts';
import type { KeyReads } from '../../redis-commands/key-reads.ts';
import { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Client } from '../server/client.ts';
import type { RespCommand, Replied } from './resp-command.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';
import { whenRead } from './reply-when-read.ts';

/** Maximum total size of the values in the reply to one command or one transaction. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** Executes the commands that read keys. */
export class KeyCommandHandlers {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #hit: HitBuffer;

  constructor(cache: CacheService, reads: KeyReads, hit: HitBuffer) {
    this.#cache = cache;
    this.#reads = reads;
    this.#hit = hit;
  }

  commands(): RespCommand[] {
    return KEY_COMMANDS.map((command) => ({
      ...command,
      categories: [command.group === 'string' ? 'string' : 'keyspace'],
      reads: command,
      run: (args, client, out) => this.#run(command, args, client, out),
    }));
  }

  /** Creates an empty plan for the commands of one request. */
  plan(client: Client): ReadPlan {
    return new ReadPlan(this.#cache, this.#reads, MAX_REPLY_BYTES, client);
  }

  #run(command: KeyCommand, args: readonly Buffer[], client: Client, out: ReplyWriter): Replied {
    const keys = keysOf(command.keys, args);
    if (keys.length === 1 && (command.returns === 'values' || command.returns === 'count')) {
      const write = command.returns === 'values' ? command.reply(args) : command.write;
      if (typeof write === 'string') return out.error(write);
      if (this.#cache.tryGetInto(keys[0], 0, keys[0].length, this.#hit)) {
        this.#reads.countHit();
        return write([{ value: this.#hit.bytes.subarray(0, this.#hit.length) }], out);
      }
    }
    const plan = this.plan(client);
    const write = plan.add(command, args);
    if (typeof write === 'string') return out.error(write);
    const read = plan.read();
    if (read === undefined) return write(out);
    const { protocol } = client;
    return whenRead(plan, read, () => {
      out.protocol = protocol;
      write(out);
    });
  }
}
