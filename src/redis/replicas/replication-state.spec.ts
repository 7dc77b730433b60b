import { describe, expect, it } from '@jest/globals';
import {
  MasterOffsets,
  type Replication,
  type ServerStatus,
  gradeReplica,
  parseReplication,
} from './replication-state.ts';

/** As Redis 7.0 replies, shortened. */
const infoOf = (fields: Readonly<Record<string, string | number>>): string =>
  `# Replication\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')}`;
const IN_SYNC = {
  role: 'slave',
  master_host: '127.0.0.1',
  master_link_status: 'up',
  master_last_io_seconds_ago: 3,
  slave_repl_offset: 140,
  master_replid: 'abc',
  master_repl_offset: 139,
};

const replica = (fields: Partial<Replication> = {}): Replication => ({
  role: 'replica',
  isLinkUp: true,
  silentS: 0,
  id: 'abc',
  offset: 100,
  ...fields,
});
const ok = (fields: Partial<Replication> = {}, lagS = 0): ServerStatus => ({
  kind: 'ok',
  replication: replica(fields),
  lagS,
});

describe('INFO replication', () => {
  it('of a replica in sync has its offset and how long its master has been silent', () => {
    expect(parseReplication(infoOf(IN_SYNC))).toEqual(replica({ silentS: 3, offset: 140 }));
  });

  it('of a replica without its master has how long the link has been down, if it was ever up', () => {
    const down = { ...IN_SYNC, master_link_status: 'down', master_last_io_seconds_ago: -1 };
    const since = (seconds: number) => parseReplication(infoOf({ ...down, master_link_down_since_seconds: seconds }));
    expect(since(7)).toMatchObject({ isLinkUp: false, silentS: 7 });
    expect(since(-1)).toMatchObject({ isLinkUp: false, silentS: Infinity });
  });

  it('of a master has its offset', () => {
    const info = infoOf({ role: 'master', connected_slaves: 1, master_replid: 'abc', master_repl_offset: 500 });
    expect(parseReplication(info)).toMatchObject({ role: 'master', id: 'abc', offset: 500 });
  });
});

describe('a replica', () => {
  it.each([
    ['current', '', ok({ silentS: 15 }, 15)],
    ['outdated', 'it lags by 16 s', ok({}, 16)],
    ['outdated', 'no data of its master for 16 s', ok({ silentS: 16 })],
    ['outdated', 'its link to the master is down', ok({ isLinkUp: false, silentS: 0 })],
    ['outdated', 'its link to the master is down', ok({ isLinkUp: false, silentS: 60 })],
    ['unusable', 'its link to the master is down', ok({ isLinkUp: false, silentS: 61 })],
    ['unusable', 'its link to the master is down', ok({ isLinkUp: false, silentS: Infinity })],
    ['unusable', 'it lags by 61 s', ok({}, 61)],
    ['unusable', 'it is a master', ok({ role: 'master' })],
    ['unusable', 'LOADING', { kind: 'failed', reason: 'LOADING' }],
  ] as const)('is %s (%s) in %j', (grade, reason, status) => {
    expect(gradeReplica(status)).toEqual({ grade, reason });
  });
});

describe('the lag of a replica', () => {
  const master = (offset: number, id = 'abc'): Replication => ({ ...replica({ offset, id }), role: 'master' });

  it('is the time for which it has lacked what the master had', () => {
    const offsets = new MasterOffsets();
    for (const [seconds, offset] of [[1, 100], [2, 200], [3, 200], [4, 300]] as const) offsets.add(master(offset), seconds * 1000); // prettier-ignore
    const lagAt10 = (offset: number): number => offsets.lagS(replica({ offset }), 10_000);
    expect([50, 100, 199, 200, 299, 300, 400].map(lagAt10)).toEqual([9, 8, 8, 6, 6, 0, 0]);
  });

  it('is unknown, and counts as 0, without a master and after its history has changed', () => {
    const offsets = new MasterOffsets();
    expect(offsets.lagS(replica(), 10_000)).toBe(0);
    offsets.add(master(200), 1000);
    expect(offsets.lagS(replica({ id: 'other' }), 10_000)).toBe(0);
    offsets.add(master(300, 'other'), 9000);
    expect(offsets.lagS(replica(), 10_000)).toBe(0);
    expect(offsets.lagS(replica({ id: 'other' }), 10_000)).toBe(1);
  });

  it('of more than a minute is still known after many checks', () => {
    const offsets = new MasterOffsets();
    for (let second = 0; second < 1000; second++) offsets.add(master(second * 10), second * 1000);
    expect(offsets.lagS(replica({ offset: 0 }), 1_000_000)).toBeGreaterThan(60);
    expect(offsets.lagS(replica({ offset: 9980 }), 1_000_000)).toBe(1);
  });
});
