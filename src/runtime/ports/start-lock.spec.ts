import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { freePort } from './free-port.ts';
import { StartLockTimeout, lockStart } from './start-lock.ts';

/** Releases what a promise has locked, after it. */
const releases: (() => void)[] = [];
afterEach(() => releases.splice(0).forEach((release) => release()));

async function lock(ports: readonly number[], maxWaitMs?: number): Promise<() => void> {
  const release = await lockStart(ports, maxWaitMs);
  releases.push(release);
  return release;
}

/** A port that no other test locks. */
async function unusedPort(): Promise<number> {
  const { port, release } = await freePort('127.0.0.1', 0);
  release();
  return port;
}

const describeLinux = process.platform === 'linux' ? describe : describe.skip;

describeLinux('the lock of a start', () => {
  it('is held by one at a time, and goes to the next when it is released', async () => {
    const port = await unusedPort();
    const release = await lock([port]);
    const order: string[] = [];
    const others = Array.from({ length: 5 }, async () => {
      const mine = await lock([port]);
      order.push('acquired');
      await new Promise(setImmediate);
      order.push('released');
      mine();
    });
    await expect(lockStart([port], 100)).rejects.toThrow(StartLockTimeout);
    expect(order).toEqual([]);
    release();
    await Promise.all(others);
    expect(order).toEqual(Array.from({ length: 5 }, () => ['acquired', 'released']).flat());
  });

  it('is released when its holder is killed', async () => {
    const port = await unusedPort();
    const program = `import { lockStart } from ${JSON.stringify(new URL('./start-lock.ts', import.meta.url).href)};
      await lockStart([${port}]); console.log('locked'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const waiting = lock([port]);
    await expect(lockStart([port], 100)).rejects.toThrow(`another instance has been starting on port ${port}`);
    holder.kill('SIGKILL');
    await expect(waiting).resolves.toBeInstanceOf(Function);
  });

  it('does not wait for ever where two want the same ports in another order', async () => {
    const [one, two] = [await unusedPort(), await unusedPort()];
    const both = [lock([one, two]), lock([two, one])].map((each) => each.then((release) => release()));
    await expect(Promise.all(both)).resolves.toHaveLength(2);
  });

  it('concerns neither other ports nor any free one, and one port twice is one', async () => {
    const [one, two] = [await unusedPort(), await unusedPort()];
    await lock([one, one, 0]);
    await expect(lock([two, 0], 100)).resolves.toBeInstanceOf(Function);
  });

  it('locks no port after it has timed out', async () => {
    const [low, high] = [await unusedPort(), await unusedPort()].sort((a, b) => a - b);
    await lock([high]);
    await expect(lockStart([low, high], 50)).rejects.toThrow(StartLockTimeout);
    await expect(lock([low], 1000)).resolves.toBeInstanceOf(Function);
  });
});

describe('the lock of a start, where there are no abstract names', () => {
  it('locks nothing', async () => {
    const port = await unusedPort();
    for (let times = 0; times < 2; times++) {
      releases.push(await lockStart([port], 0, 'darwin'));
    }
  });
});
