/** A reply that is ready: the function writes it, once all replies before it have been written. */
export interface Reply {
  (): void;
  /** Values that stay buffered until the reply is written. */
  readonly values?: readonly Buffer[];
  /** Discards the values; {@link again} reads them again later. */
  readonly drop?: () => void;
  /** Reads discarded values again; absent: the values cannot be discarded. */
  readonly again?: () => Promise<Reply>;
}

/** A reply, or a message between replies, in the order of a connection. */
export interface QueuedReply {
  readonly write: () => void;
  /** Called if the reply is dropped instead. */
  readonly drop?: (() => void) | undefined;
  /** Whether it may contain the values of several keys. */
  readonly isMultiKey: boolean;
}
