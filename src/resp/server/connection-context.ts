import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { PendingReads } from '../../instance/pending-reads.ts';
import type { Mutex } from '../../net/mutex.ts';
import type { PipelineContext } from '../../net/pipeline/pipelined-connection.ts';
import type { Dispatcher } from '../commands/dispatcher.ts';
import type { GetRequest } from '../protocol/get-request.ts';
import type { QueryRequest } from '../protocol/query-request.ts';
import type { TrackingClients } from './tracking-clients.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';

/** Per-thread context shared by all RESP connections. Its buffers are empty between two steps of a connection. */
export interface ConnectionContext extends PipelineContext {
  readonly commands: Dispatcher;
  readonly cache: CacheService;
  readonly access: Access;
  /** Counts of reads, published before their replies are written, and committed once they are. */
  readonly pending: PendingReads;
  readonly output: ReplyWriter;
  readonly trackingClients: TrackingClients;
  readonly get: GetRequest;
  readonly query: QueryRequest;
  readonly hit: HitBuffer;
  /** Serialises requests (PROXY_MODE=sequential); undefined: requests do not wait for each other. */
  readonly mutex: Mutex | undefined;
  /** Milliseconds after which a client that sends no requests is disconnected; 0: never. */
  readonly idleTimeoutMs: number;
  /** Milliseconds within which a client must authenticate. */
  readonly authenticationTimeoutMs: number;
}
