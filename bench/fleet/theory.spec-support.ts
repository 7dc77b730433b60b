import type { Fleet } from './fleet.ts';

/** The fleet that the specs of the theory vary. */
export const FLEET: Fleet = {
  replicas: 1,
  balancing: 'random',
  tracking: false,
  capacity: 200,
  ttlMs: 20_000,
  keys: 2000,
  exponent: 1,
  readsPerSecond: 1000,
  writesPerSecond: 20,
  writes: 'uniform',
};
