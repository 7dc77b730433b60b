import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import type { ListedNode } from '../cluster/slot-map.ts';
import type { Replication } from './replication-state.ts';
import type { MonitorReply } from './server-monitor.ts';
import { SourceSelector } from './source-selector.ts';

const node = (name: string): ListedNode => ({ host: name, port: 1, id: '' });
const MASTER = node('master');
const [A, B] = [node('a'), node('b')];

let now: number;
/** What each server reports; a reason if it cannot be read. */
let reports: Record<string, Partial<Replication> | string>;
/** Number of checks of each server. */
let checks: Record<string, number>;
let onLost: Map<string, () => void>;
/** Number of reported selections. */
let reported: number;
let selector: SourceSelector;
let random: number;

function create(mayReadMaster: boolean): void {
  selector = new SourceSelector({
    mayReadMaster,
    createMonitor: ({ host }, lost) => {
      onLost.set(host, lost);
      return { check: () => Promise.resolve(check(host)), close: () => undefined };
    },
    onSelection: () => reported++,
    onChecked: () => undefined,
    random: () => random,
    now: () => now,
  });
}

function check(host: string): MonitorReply {
  checks[host] = (checks[host] ?? 0) + 1;
  const report = reports[host] ?? 'ECONNREFUSED';
  if (typeof report === 'string') return { kind: 'failed', reason: report };
  const role = host === 'master' ? ('master' as const) : ('replica' as const);
  const replication = { role, isLinkUp: true, silentS: 0, id: 'history', offset: 100, ...report };
  return { kind: 'ok', replication, sentAt: now, receivedAt: now };
}

/** The selected server, with the grade of a replica. */
const selected = (): string => {
  const { selection } = selector;
  return selection.role === 'replica' ? `${selection.replica.host} ${selection.grade}` : selection.role;
};

beforeEach(() => {
  now = 1_000_000;
  reports = { master: {}, a: {}, b: {} };
  checks = {};
  onLost = new Map();
  reported = 0;
  random = 0;
});
afterEach(() => selector.close());

describe('SourceSelector', () => {
  it.each([
    [0, 'a current'],
    [0.99, 'b current'],
  ])('selects a random replica (%d) and keeps it; the other is not checked any more', async (each, expected) => {
    random = each;
    create(true);
    await selector.update({ master: MASTER, replicas: [A, B] });
    expect(selected()).toBe(expected);
    random = 0.5;
    const other = expected.startsWith('a') ? 'b' : 'a';
    const before = checks[other];
    for (let i = 0; i < 3; i++) await selector.refresh();
    expect([selected(), checks[other], reported]).toEqual([expected, before, 1]);
  });

  it.each<[string, Partial<Replication> | string]>([
    ['is lost', 'ECONNRESET'],
    ['is loading', 'LOADING'],
    ['has lost its master', { isLinkUp: false }],
    ['has heard nothing of its master for too long', { silentS: 16 }],
    ['was promoted', { role: 'master' }],
  ])('selects another replica when the selected one %s', async (_, report) => {
    create(false);
    await selector.update({ master: MASTER, replicas: [A, B] });
    reports.a = report;
    onLost.get('a')?.();
    await until('another one is selected', () => selected() === 'b current' || undefined);
    expect(reported).toBe(2);
  });

  it('selects another replica when the selected one lags behind the master, although it receives data', async () => {
    create(false);
    await selector.update({ master: MASTER, replicas: [A, B] });
    reports = { master: { offset: 200 }, a: { offset: 150 }, b: { offset: 200 } };
    await selector.refresh();
    now += 14_000;
    await selector.refresh();
    expect([selected(), selector.lagS]).toEqual(['a current', 14]);
    now += 2000;
    await selector.refresh();
    expect([selected(), selector.lagS]).toEqual(['b current', 0]);
  });

  it('reports a failover while the master is read', async () => {
    create(true);
    await selector.update({ master: MASTER, replicas: [] });
    // The former master may still reply.
    await selector.update({ master: { ...MASTER, port: 2 }, replicas: [] });
    expect(selector.selection).toMatchObject({ role: 'master', master: { port: 2 } });
    expect(reported).toBe(2);
  });

  it('selects the master while no replica is current, and a replica once it has been current for three seconds', async () => {
    create(true);
    reports.a = { isLinkUp: false };
    await selector.update({ master: MASTER, replicas: [A] });
    const reason = 'a:1: its link to the master is down';
    expect(selector.selection).toEqual({ role: 'master', master: MASTER, reason });
    reports.a = {};
    await selector.refresh();
    now += 2999;
    await selector.refresh();
    expect(selected()).toBe('master');
    now += 1;
    await selector.refresh();
    expect(selected()).toBe('a current');
  });

  it('selects a current replica at once when the master that was read is lost', async () => {
    create(true);
    reports.a = 'LOADING';
    await selector.update({ master: MASTER, replicas: [A] });
    expect(selected()).toBe('master');
    reports = { a: {} };
    await selector.refresh();
    expect(selected()).toBe('a current');
  });

  it('selects the replica that lost its master last, for at most a minute, if neither another replica nor the master can be read', async () => {
    create(true);
    reports = { a: { isLinkUp: false, silentS: 9 }, b: { isLinkUp: false, silentS: 5 } };
    await selector.update({ master: MASTER, replicas: [A, B] });
    expect([selected(), selector.lagS]).toEqual(['b outdated', 5]);
    reports.b = { isLinkUp: false, silentS: 60 };
    await selector.refresh();
    // The selected one is kept.
    expect(selected()).toBe('b outdated');
    reports = { a: { isLinkUp: false, silentS: 61 }, b: { isLinkUp: false, silentS: 61 } };
    await selector.refresh();
    expect(selector.selection).toEqual({
      role: 'none',
      reason: 'a:1: its link to the master is down; b:1: its link to the master is down',
    });
    reports = { b: {} };
    await selector.refresh();
    expect(selected()).toBe('b current');
  });

  it('never selects the master if only replicas may be read', async () => {
    create(false);
    await selector.update({ master: MASTER, replicas: [] });
    expect(selector.selection).toEqual({ role: 'none', reason: 'no replica is known' });
  });

  it('selects another server when the selected one is not listed any more, and uses those that are added', async () => {
    create(true);
    await selector.update({ master: MASTER, replicas: [A] });
    expect(selected()).toBe('a current');
    await selector.update({ master: MASTER, replicas: [] });
    expect(selected()).toBe('master');
    await selector.update({ master: undefined, replicas: [B] });
    expect(selected()).toBe('b current');
  });

  it('does not check servers again because they are listed again', async () => {
    create(true);
    await selector.update({ master: MASTER, replicas: [A, B] });
    const before = { ...checks };
    await selector.update({ master: node('master'), replicas: [node('a'), node('b')] });
    expect(checks).toEqual(before);
  });
});
