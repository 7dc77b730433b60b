/** The result of a comparison. */
export interface Finding {
  readonly difference?: string;
  readonly requests: number;
}
