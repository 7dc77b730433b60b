import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { PendingReads } from '../../cache/read-through/pending-reads.ts';
import type { BufferAccounting } from '../../net/buffer-accounting.ts';
import type { Mutex } from '../../net/mutex.ts';
import type { Dispatcher } from '../commands/dispatcher.ts';
import type { GetRequest } from '../protocol/get-request.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';

/** Per-thread context shared by all RESP connections. Its buffers are empty between two steps of a connection. */
export interface ConnectionContext {
  readonly commands: Dispatcher;
  readonly cache: CacheService;
  readonly access: Access;
  readonly memory: BufferAccounting;
  /** Counts reads once their replies have been written. */
  readonly pending: PendingReads;
  readonly out: ReplyWriter;
  readonly get: GetRequest;
  readonly hit: HitBuffer;
  /** Serialises requests (PROXY_MODE=sequential); undefined: requests do not wait for each other. */
  readonly mutex: Mutex | undefined;
  /** Milliseconds within which a client must send a whole request. */
  readonly requestTimeoutMs: number;
  /** Milliseconds after which a client that sends no requests is disconnected; 0: never. */
  readonly idleTimeoutMs: number;
  /** Milliseconds within which a client must authenticate. */
  readonly authenticationTimeoutMs: number;
  /** Milliseconds after which a client that does not read its replies is disconnected. */
  readonly writeTimeoutMs: number;
  /** Logs an unexpected exception. */
  readonly report: (bug: unknown) => void;
}
