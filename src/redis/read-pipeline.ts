import type { Command, Redis } from 'ioredis';
import { KeyRead } from './key-read.ts';
import type { ReadCommands } from './read-commands.ts';
import type { RedisReply } from './redis-reply.ts';

/** Takes the part of all commands but the last, which writes for all. */
const WRITTEN_TOGETHER = { write: () => true } as unknown as Parameters<Redis['sendCommand']>[1];

/** The reads that go to the Redis in one write. They have one time limit, which runs from when the first was asked. */
export class ReadPipeline {
  readonly #commands: ReadCommands;
  readonly #reads: KeyRead[] = [];
  readonly #timer: NodeJS.Timeout;
  #unsettled = 0;

  constructor(commands: ReadCommands, timeoutMs: number) {
    this.#commands = commands;
    this.#timer = setTimeout(() => this.end({ kind: 'timeout' }), timeoutMs);
  }

  /** @param take is called once, with the reply. */
  add(key: Buffer, take: (reply: RedisReply) => void): void {
    this.#unsettled++;
    const settle = (reply: RedisReply): void => {
      if (--this.#unsettled === 0) clearTimeout(this.#timer);
      take(reply);
    };
    this.#reads.push(new KeyRead(key, this.#commands.perKey, settle));
  }

  /** ioredis knows of each command, so that it can assign the replies; it writes once. */
  send(redis: Redis): void {
    const reads = this.#reads;
    const last = reads[reads.length - 1];
    last.bytes = this.#commands.encode(reads);
    let left = reads.length * this.#commands.perKey;
    for (const read of reads) {
      for (let i = 0; i < this.#commands.perKey; i++) {
        redis.sendCommand(read as unknown as Command, --left === 0 ? undefined : WRITTEN_TOGETHER);
      }
    }
  }

  /** Ends what has not been answered. */
  end(reply: RedisReply): void {
    for (const read of this.#reads) read.end(reply);
  }
}
