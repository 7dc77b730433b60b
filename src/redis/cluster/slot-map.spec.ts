import { describe, expect, it } from '@jest/globals';
import { SlotMap, addressOf } from './slot-map.ts';
import { redirectIn } from './redirect.ts';

const queriedNode = { host: 'asked', port: 1 };
const a = ['10.0.0.1', 7000, 'id of a', []];
const b = ['2001:db8::1', 7001, 'id of b', []];
const replica = ['10.0.0.3', 7002, 'id of the replica', []];

describe('SlotMap', () => {
  it('has the master of each slot, and the replicas', () => {
    const slotMap = SlotMap.parse(
      [
        [0, 99, a, replica],
        [100, 16_383, b],
      ],
      queriedNode,
    );
    expect(slotMap.masters).toEqual([
      { host: '10.0.0.1', port: 7000, id: 'id of a' },
      { host: '2001:db8::1', port: 7001, id: 'id of b' },
    ]);
    expect(slotMap.nodes).toContainEqual({ host: '10.0.0.3', port: 7002, id: 'id of the replica' });
    expect([0, 99, 100, 16_383].map((slot) => slotMap.masterOf(slot))).toEqual([0, 0, 1, 1]);
    expect(slotMap.isComplete).toBe(true);
  });

  it('may have slots without a master', () => {
    const slotMap = SlotMap.parse([[5, 6, a]], queriedNode);
    expect([4, 5, 6, 7].map((slot) => slotMap.masterOf(slot))).toEqual([-1, 0, 0, -1]);
    expect(slotMap.isComplete).toBe(false);
  });

  it.each([[null], [''], ['?']])('uses the host of the replying node for a host of %j', (host) => {
    expect(SlotMap.parse([[0, 1, [host, 7000]]], queriedNode).masters).toEqual([{ host: 'asked', port: 7000, id: '' }]);
  });

  it('equals a map in which the same masters serve the same slots, in ranges of any size', () => {
    const complete = SlotMap.parse([[0, 9, a, replica]], queriedNode);
    const parts = SlotMap.parse([[0, 4, a, replica], [5, 9, a]], queriedNode); // prettier-ignore
    expect(complete.equals(parts)).toBe(true);
    expect(complete.equals(SlotMap.parse([[0, 8, a, replica]], queriedNode))).toBe(false);
    expect(complete.equals(SlotMap.parse([[0, 9, b, replica]], queriedNode))).toBe(false);
  });

  it('has the replicas of each master once, whatever their order, and differs if they do', () => {
    const other = ['10.0.0.2', 7003, 'id of the other', []];
    const one = SlotMap.parse([[0, 4, a, replica, other], [5, 9, a, other, replica], [10, 19, b]], queriedNode); // prettier-ignore
    expect(one.replicas.map((replicas) => replicas.map(({ id }) => id))).toEqual([
      ['id of the other', 'id of the replica'],
      [],
    ]);
    expect(one.equals(SlotMap.parse([[0, 9, a, other, replica], [10, 19, b]], queriedNode))).toBe(true); // prettier-ignore
    expect(one.equals(SlotMap.parse([[0, 9, a, other], [10, 19, b]], queriedNode))).toBe(false); // prettier-ignore
    expect(one.equals(SlotMap.parse([[0, 9, a, other], [10, 19, b, replica]], queriedNode))).toBe(false); // prettier-ignore
  });

  it('differs if another node id is at the address of a master; a missing id matches any', () => {
    const [host, port] = a;
    const slotMap = SlotMap.parse([[0, 9, a]], queriedNode);
    expect(slotMap.equals(SlotMap.parse([[0, 9, [host, port, 'id of its successor']]], queriedNode))).toBe(false);
    expect(slotMap.equals(SlotMap.parse([[0, 9, [host, port]]], queriedNode))).toBe(true);
  });

  it.each([
    ['nothing', []],
    ['no list', 'OK'],
    ['no ranges', ['OK']],
    ['a range without a master', [[0, 1]]],
    ['slots that there are not', [[0, 16_384, a]]],
    ['a node without a port', [[0, 1, ['10.0.0.1']]]],
  ])('rejects %s', (_, reply) => {
    expect(() => SlotMap.parse(reply, queriedNode)).toThrow();
  });
});

describe('addressOf', () => {
  it('returns an address as in REDIS_NODES, with an IPv6 address in brackets', () => {
    const { masters } = SlotMap.parse([[0, 9, a], [10, 11, b]], queriedNode); // prettier-ignore
    expect(masters.map(addressOf)).toEqual(['10.0.0.1:7000', '[2001:db8::1]:7001']);
  });
});

describe('redirectIn', () => {
  it('parses MOVED and ASK, with or without a host', () => {
    expect(redirectIn('MOVED 3999 10.0.0.1:7000')).toEqual({ kind: 'moved', slot: 3999, host: '10.0.0.1', port: 7000 });
    expect(redirectIn('ASK 0 2001:db8::1:7000')).toEqual({ kind: 'ask', slot: 0, host: '2001:db8::1', port: 7000 });
    expect(redirectIn('MOVED 16383 :7000')).toMatchObject({ host: '' });
  });

  it.each([
    'MOVED',
    'MOVED 1',
    'MOVED 1 host',
    'MOVED 16384 h:1',
    'MOVED __proto__ h:1',
    'MOVED -1 h:1',
    'ERR MOVED 1 h:1',
  ])('returns undefined for %j', (message) => {
    expect(redirectIn(message)).toBeUndefined();
  });
});
