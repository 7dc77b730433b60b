import type { Settings } from './proxy.ts';

const PRELOAD = new URL('./broken-writes.mjs', import.meta.url).href;

/** Settings of a proxy whose writes of one buffer throw or are lost. */
export function brokenWrites(how: 'throw' | 'drop'): Settings {
  return { NODE_OPTIONS: `--import ${PRELOAD}`, BROKEN_WRITES: how };
}
