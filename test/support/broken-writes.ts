import type { Settings } from './proxy.ts';

const PRELOAD = new URL('./broken-writes.mjs', import.meta.url).href;

/** Has a proxy's responses throw, or get lost, where they are handed to Node.js as one buffer. */
export function brokenWrites(how: 'throw' | 'drop'): Settings {
  return { NODE_OPTIONS: `--import ${PRELOAD}`, BROKEN_WRITES: how };
}
