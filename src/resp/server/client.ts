import type { RequestDescription } from '../../cache/read-tracer.ts';
import type { Credential } from '../../access/bearer-tokens.ts';
import type { Protocol } from '../protocol/reply-writer.ts';
import type { ClientTracking } from './client-tracking.ts';
import type { Transaction } from './transaction.ts';

/** Session state of a client connection: its name, protocol version and authentication. */
export interface Client {
  /** Unique in the instance. */
  readonly id: number;
  /** `address:port`. */
  readonly address: string;
  readonly localAddress: string;
  /** Milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  protocol: Protocol;
  /** Whether the client may execute commands; always true if no token is required. */
  authenticated: boolean;
  /** The token the client authenticated with; undefined if no token is required. */
  credential: Credential | undefined;
  name: string;
  libraryName: string;
  libraryVersion: string;
  /** Commands queued since MULTI; undefined outside a transaction. */
  transaction: Transaction | undefined;
  /** What the client tracks (CLIENT TRACKING); undefined: nothing. */
  tracking: ClientTracking | undefined;
  /**
   * Notifies the client that keys were written, undefined: that any key may have been written; set by its connection. Must not
   * be called while a request is executed.
   */
  invalidate: (keys: readonly Buffer[] | undefined) => void;
  /** Whether the client has sent QUIT: the connection closes after the reply. */
  quitting: boolean;
  /**
   * Whether replies to earlier requests have not been sent, so that values in the next reply may have to be dropped and read again;
   * set by its connection.
   */
  hasQueuedReplies: boolean;
  /** Whether the connection is closed, so that pending reads for it can be skipped. */
  disconnected: boolean;
  /** Whether the connection is closed, or the client has closed its sending side. Absent: {@link disconnected} tells. */
  readonly mayBeClosed?: boolean;
  /** Called when an expired value is served to the client because Redis is unavailable; set by its connection. */
  noteStale: () => void;
  /** Drops buffered replies while a read for the client waits for memory; set by its connection. */
  dropWaitingReplies: () => void;
  /** Describes each request: the protocol has no headers. */
  readonly describeRequest: () => RequestDescription;
}

const DESCRIPTION: RequestDescription = {
  transport: 'resp',
  http: undefined,
  traceparent: undefined,
  tracestate: undefined,
};

/** Describes a request over the Redis protocol. */
export function describeRespRequest(): RequestDescription {
  return DESCRIPTION;
}
