import { expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { Child } from '../support/processes.ts';
import type { StalenessReport } from '../staleness/report.ts';

const MAIN = new URL('../staleness/main.ts', import.meta.url).pathname;
const WRITES = 10_000;
const SEED = 20_261_124;

describeOwn(`${WRITES} writes by another client, while connections are lost at random,`, () => {
  it('are visible within a second, and 99 % within 20 ms', async () => {
    // In a separate process, because Jest traces sockets, which makes them slow.
    const run = new Child(process.execPath, [MAIN, String(WRITES), String(SEED), '--json'], { env: process.env });
    expect([await run.exit, run.errors]).toEqual([0, '']);
    const { writes, wrong, losses, delaysMs, cachedDelaysMs, latenciesMs, pushes } = JSON.parse(
      run.output,
    ) as StalenessReport;
    expect([writes, wrong]).toEqual([WRITES, []]);
    expect(losses).toBeGreaterThanOrEqual(5);
    expect(pushes).toBeGreaterThan(WRITES / 4);
    // On an idle machine the latencies are a few milliseconds.
    expect(delaysMs.max).toBeLessThan(1000 + latenciesMs.max);
    expect(cachedDelaysMs.max).toBeLessThan(1000 + latenciesMs.max);
    expect(delaysMs.p99).toBeLessThan(20 + latenciesMs.p99);
    expect(cachedDelaysMs.p99).toBeLessThan(20 + latenciesMs.p99);
  }, 180_000);
});

describeOwn('writes while the replicas that are read are killed, promoted and disconnected,', () => {
  it('are visible within a second after all replicas have them', async () => {
    const args = [MAIN, '1000', String(SEED), '--json', '--replicas'];
    const run = new Child(process.execPath, args, { env: process.env });
    expect([await run.exit, run.errors]).toEqual([0, '']);
    const { writes, wrong, losses, delaysMs, cachedDelaysMs, latenciesMs } = JSON.parse(run.output) as StalenessReport;
    expect([writes >= 1000, wrong]).toEqual([true, []]);
    expect(losses).toBeGreaterThanOrEqual(5);
    expect(delaysMs.max).toBeLessThan(1000 + latenciesMs.max);
    expect(cachedDelaysMs.max).toBeLessThan(1000 + latenciesMs.max);
  }, 180_000);
});
