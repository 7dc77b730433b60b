import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { PendingReads } from '../../cache/read-through/pending-reads.ts';
import type { HeldMemory } from '../../net/held-memory.ts';
import type { Mutex } from '../../net/mutex.ts';
import type { Dispatcher } from '../commands/dispatcher.ts';
import type { GetRequest } from '../protocol/get-request.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';

/** What the connections of a thread share. Each uses it in turn, and leaves nothing in it. */
export interface ConnectionContext {
  readonly commands: Dispatcher;
  readonly cache: CacheService;
  readonly access: Access;
  readonly memory: HeldMemory;
  /** Reads whose replies are being written. */
  readonly pending: PendingReads;
  readonly out: ReplyWriter;
  readonly get: GetRequest;
  readonly hit: HitBuffer;
  /** Undefined: requests do not wait for one another. */
  readonly sequencer: Mutex | undefined;
  /** Milliseconds a client has to send a whole request. */
  readonly requestTimeoutMs: number;
  /** Milliseconds that a client may ask nothing, where everything is answered; 0: as long as it likes. */
  readonly idleTimeoutMs: number;
  /** Milliseconds a client has to authenticate. */
  readonly authenticationTimeoutMs: number;
  /** Milliseconds that a client may let its replies lie. */
  readonly writeTimeoutMs: number;
  /** Told of what nobody foresaw. */
  readonly report: (bug: unknown) => void;
}
