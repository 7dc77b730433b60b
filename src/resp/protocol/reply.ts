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
