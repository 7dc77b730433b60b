/**
 * Compares proxies with the fast path and without it, on generated requests: `npm run fuzz:fast-path -- [requests] [seed]`. Ends
 * with status 1 at the first difference, which it shows as small as it could make it. With a third argument, `off`, it
 * compares proxies without the fast path: what it then finds is not about the fast path.
 */
import { fuzz } from './fuzz.ts';
import { Arena } from './rivals.ts';

const [requests = 100_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2, 4).map(Number);
const [, , , , HTTP_FAST_PATH = 'on'] = process.argv;

const started = performance.now();
const arena = await Arena.open({ fastPath: { HTTP_FAST_PATH }, plain: { HTTP_FAST_PATH: 'off' } });
try {
  let shown = 0;
  const { progress, difference } = await fuzz({
    rivals: arena.rivals,
    requests,
    seed,
    prepare: () => arena.prepare(),
    onProgress: ({ requests: sent, conversations }) => {
      if (sent - shown < requests / 50) return;
      shown = sent;
      process.stderr.write(`${sent} requests in ${conversations} conversations, ${seconds()} s\n`);
    },
  });
  const { requests: sent, conversations, raced } = progress;
  console.log(`${sent} requests in ${conversations} conversations, seed ${seed}, ${seconds()} s; ${raced} raced:`);
  console.log(difference ?? 'no difference.');
  if (difference !== undefined) process.exitCode = 1;
} finally {
  await arena.close();
}

function seconds(): number {
  return Math.round((performance.now() - started) / 1000);
}
