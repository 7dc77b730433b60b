import { expect, it } from '@jest/globals';
import { ReplacementLog } from './replacement-log.ts';

it('a replaced node is logged once for all threads, and again when it was not reported for a minute', () => {
  let now = 0;
  const lines: string[] = [];
  const log = new ReplacementLog(
    (line) => lines.push(line),
    () => now,
  );
  for (; now < 300_000; now += 5000) log.report({ address: '10.0.0.1:7000' });
  expect(lines).toEqual([
    'the Redis node at 10.0.0.1:7000 was replaced by another one at the same address; connecting to that one',
  ]);
  log.report({ address: '10.0.0.2:7000' });
  expect(lines).toHaveLength(2);
  now += 60_000;
  log.report({ address: '10.0.0.1:7000' });
  expect(lines).toHaveLength(3);
});
