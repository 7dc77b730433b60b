import { describe, expect, it } from '@jest/globals';
import { RedisLog } from './redis-log.ts';

/** Returns a log with the lines that it has written. */
function redisLog(now?: () => number): { readonly log: RedisLog; readonly lines: string[] } {
  const lines: string[] = [];
  const add = (line: string): void => void lines.push(line);
  return { log: new RedisLog({ log: add, warn: add }, now), lines };
}

const LOST = { reachable: false, reason: 'connection' } as const;

describe('the log lines about Redis', () => {
  it('name its loss and each reason once, and its return when all threads are connected', () => {
    const { log, lines } = redisLog();
    for (const row of [0, 1]) log.noteState(row, { reachable: true });
    for (const row of [0, 1]) log.noteState(row, LOST);
    for (const row of [0, 1]) log.noteState(row, { reachable: false, reason: 'ECONNREFUSED' });
    log.noteState(0, { reachable: true });
    expect(lines.splice(0)).toEqual([
      'Redis is reachable',
      'Redis is not reachable (connection)',
      'Redis is still not reachable (ECONNREFUSED)',
    ]);
    log.noteState(1, { reachable: true });
    expect(lines).toEqual(['Redis is reachable']);
  });

  it('name a permission without which no key can be read once, and once that it was granted', () => {
    const { log, lines } = redisLog();
    log.noteState(0, { reachable: true });
    lines.length = 0;
    for (const row of [0, 1]) log.noteState(row, { reachable: true, missingPermission: '+pttl' });
    log.noteState(0, LOST);
    log.noteState(1, LOST);
    for (const row of [0, 1]) log.noteState(row, { reachable: true });
    expect(lines).toEqual([
      'the Redis account lacks +pttl (NOPERM): every read of Redis fails',
      'Redis is not reachable (connection)',
      'Redis is reachable',
      'the Redis account has the required permissions',
    ]);
  });

  it('name a permission that some reads need once for all threads', () => {
    const { log, lines } = redisLog();
    for (let i = 0; i < 2; i++) log.noteRefused('+hgetall');
    log.noteRefused('+smembers');
    expect(lines).toEqual([
      'the Redis account lacks +hgetall (NOPERM): reads that need it fail',
      'the Redis account lacks +smembers (NOPERM): reads that need it fail',
    ]);
  });

  it('show the circuit as open from the first open one until all are closed', () => {
    const { log, lines } = redisLog();
    log.noteCircuit(0, 'closed', '');
    log.noteCircuit(0, 'open', 'timeout');
    log.noteCircuit(1, 'open', 'LOADING');
    log.noteCircuit(0, 'half-open', 'timeout');
    log.noteCircuit(0, 'closed', '');
    expect(lines.splice(0)).toEqual(['Redis circuit breaker opened (timeout); failing fast']);
    log.noteCircuit(1, 'closed', '');
    expect(lines).toEqual(['Redis circuit breaker closed']);
  });

  it('show the outcome of changed credentials once for each change', () => {
    const { log, lines } = redisLog();
    const refused = { kind: 'refused', reason: 'WRONGPASS', isConnected: true } as const;
    log.noteLogin({ ...refused, isConnected: false });
    for (let i = 0; i < 2; i++) log.noteLogin(refused);
    for (let i = 0; i < 2; i++) log.noteLogin({ kind: 'accepted' });
    log.noteChangedCredentials();
    log.noteLogin({ kind: 'accepted' });
    expect(lines).toEqual([
      'Redis rejects the changed credentials (WRONGPASS); connections keep the previous ones',
      'Redis accepts the changed credentials',
      'Redis accepts the changed credentials',
    ]);
  });

  it('do not wait for a thread that has exited', () => {
    const { log, lines } = redisLog();
    log.noteState(0, LOST);
    log.noteState(1, LOST);
    log.noteCircuit(0, 'open', 'timeout');
    log.noteCircuit(1, 'open', 'timeout');
    lines.length = 0;
    log.forget(0);
    log.noteState(1, { reachable: true });
    log.noteCircuit(1, 'closed', '');
    expect(lines).toEqual(['Redis is reachable', 'Redis circuit breaker closed']);
  });

  it('name a replaced node once for all threads, and again when it was not reported for a minute', () => {
    let now = 0;
    const { log, lines } = redisLog(() => now);
    for (; now < 300_000; now += 5000) log.noteReplaced({ address: '10.0.0.1:7000' });
    expect(lines).toEqual([
      'the Redis node at 10.0.0.1:7000 was replaced by another one at the same address; connecting to that one',
    ]);
    log.noteReplaced({ address: '10.0.0.2:7000' });
    expect(lines).toHaveLength(2);
    now += 60_000;
    log.noteReplaced({ address: '10.0.0.1:7000' });
    expect(lines).toHaveLength(3);
  });
});
