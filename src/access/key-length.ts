/** Bytes of the longest key that may be asked for, over whichever transport. */
export const MAX_KEY_BYTES = 64 * 1024;
