import type { Credential } from '../../access/bearer-tokens.ts';
import type { Protocol } from '../protocol/reply-writer.ts';
import type { Transaction } from './transaction.ts';

/** A client, as its commands see it: what it has said of itself, and what it may do. */
export interface Client {
  /** Unique in the instance. */
  readonly id: number;
  /** `address:port`. */
  readonly address: string;
  readonly localAddress: string;
  /** As `Date.now()` gives it. */
  readonly connectedAt: number;
  protocol: Protocol;
  /** Whether it may read; always, where no token is needed. */
  authenticated: boolean;
  /** The token it has shown; undefined where none is needed. */
  credential: Credential | undefined;
  name: string;
  libraryName: string;
  libraryVersion: string;
  /** Commands queued since MULTI; undefined outside of a transaction. */
  transaction: Transaction | undefined;
  /** It has asked to be left. */
  quitting: boolean;
  /** Whether the connection has ended, and nobody takes what is read for it. */
  gone: boolean;
}
