/**
 * Compares a proxy with itself behind relays that alter its responses, and behind one that does not. Prints the result as
 * JSON: for each relay the difference, if any, and the number of requests.
 */
import { CHANGED, UNCHANGED, startRelay } from './changed.ts';
import { fuzz } from './fuzz.ts';
import { Arena } from './rivals.ts';
import type { Finding } from './finding.ts';

const REQUESTS = 1200;

const arena = await Arena.open({ fastPath: { HTTP_FAST_PATH: 'off' }, plain: { HTTP_FAST_PATH: 'off' } }, [
  'as it comes',
]);
try {
  const changed = Object.entries(CHANGED).map(async ([name, changes]) => [name, await compare(changes)] as const);
  const findings = Object.fromEntries(await Promise.all(changed));
  // Alone: bytes that arrive after a client's time-out would count as a difference.
  console.log(JSON.stringify({ ...findings, unchanged: await compare(UNCHANGED) }));
} finally {
  await arena.close();
}

async function compare(changes: (typeof CHANGED)[string]): Promise<Finding> {
  const [{ plain, ...rest }] = arena.rivals;
  const relay = await startRelay(plain, changes);
  try {
    const rivals = [{ ...rest, plain, fastPath: relay.url }];
    const options = { rivals, requests: REQUESTS, seed: 1, shrinkMs: 500, clients: 40 };
    const { difference, progress } = await fuzz({ ...options, prepare: () => arena.prepare() });
    return { difference, requests: progress.requests };
  } finally {
    relay.stop();
  }
}
