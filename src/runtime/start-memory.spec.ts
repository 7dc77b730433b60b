import { execFileSync } from 'node:child_process';
import { getHeapStatistics } from 'node:v8';
import { describe, expect, it } from '@jest/globals';
import { freeStartMemory } from './start-memory.ts';

const MIB = 2 ** 20;

/** Returns the bytes of the heap that are resident. */
const resident = (): number => getHeapStatistics().total_physical_size;

/** Fills 64 MiB of the heap, which are garbage when it returns. */
function makeGarbage(): void {
  const kept = Array.from({ length: 64 }, () => new Array<number>(MIB / 8).fill(0.5));
  expect(kept).toHaveLength(64);
}

describe('the memory of a start', () => {
  it('is free when its garbage has been collected', async () => {
    makeGarbage();
    const before = resident();
    await freeStartMemory();
    expect(before - resident()).toBeGreaterThan(48 * MIB);
  });

  it('stays where --permission denies the inspector', () => {
    const module = new URL('./start-memory.ts', import.meta.url).href;
    const code = `await (await import('${module}')).freeStartMemory(); console.log('started');`;
    const flags = ['--permission', '--allow-fs-read=*', '--input-type=module', '--eval', code];
    expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('started\n');
  });
});
