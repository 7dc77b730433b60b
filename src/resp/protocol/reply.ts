/** Writes a reply when its turn has come. */
export interface Reply {
  (): void;
  /** Values whose memory it keeps until it is written. */
  readonly values?: readonly Buffer[];
  /** Lets go of them: it will be read again. */
  readonly drop?: () => void;
  /** Reads again what could not be kept until its turn had come; absent: it must be kept. */
  readonly again?: () => Promise<Reply>;
}
