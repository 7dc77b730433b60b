import type { Access } from '../access/access.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Hit } from '../cache/hit.ts';
import type { PendingReads } from '../cache/pending-reads.ts';
import type { HeldMemory } from '../net/held-memory.ts';
import type { Sequencer } from '../sockets/sequencer.ts';
import type { Commands } from './commands.ts';
import type { GetRequest } from './get-request.ts';
import type { ReplyWriter } from './reply-writer.ts';

/** What the connections of a thread share. Each uses it in turn, and leaves nothing in it. */
export interface Front {
  readonly commands: Commands;
  readonly cache: CacheService;
  readonly access: Access;
  readonly memory: HeldMemory;
  /** Reads whose replies are being written. */
  readonly pending: PendingReads;
  readonly out: ReplyWriter;
  readonly get: GetRequest;
  readonly hit: Hit;
  /** Undefined: requests do not wait for one another. */
  readonly sequencer: Sequencer | undefined;
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
