import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CircuitBreaker, type CircuitState, type Later, REFUSED } from './circuit-breaker.ts';
import type { RedisReply } from '../redis-reply.ts';

const MiB = 2 ** 20;
const OPEN_MS = 250;
const TIMEOUT: RedisReply = { kind: 'timeout' };
const MISSING: RedisReply = { kind: 'missing' };
const LOST: RedisReply = { kind: 'unavailable', reason: 'connection' };
const LOADING: RedisReply = { kind: 'unavailable', reason: 'LOADING', refusal: 'any' };
const NOPERM: RedisReply = { kind: 'unavailable', reason: 'NOPERM', refusal: 'this' };
const MOVED: RedisReply = { kind: 'unavailable', reason: 'MOVED', refusal: 'this' };

let now: number;
let told: string[];
let circuit: CircuitBreaker;
/** What is to be done later, and when. */
let timers: Map<() => void, number>;
/** The turns of the probes that nobody had to ask for. */
let probes: number[];

const later: Later = (run, ms) => {
  timers.set(run, now + ms);
  return () => timers.delete(run);
};

/** Lets time pass, and the timers go off that are due by then. */
function pass(ms: number): void {
  now += ms;
  for (const [run, at] of timers) {
    if (at > now) continue;
    timers.delete(run);
    run();
  }
}

beforeEach(() => {
  now = 1000;
  told = [];
  timers = new Map();
  probes = [];
  const probe = (): void => void probes.push(circuit.enter());
  circuit = new CircuitBreaker(probe, () => now, later);
  circuit.watch((state, reason) => told.push(state === 'open' ? `open (${reason})` : state));
});

function ask(...replies: RedisReply[]): void {
  for (const reply of replies) circuit.end(circuit.enter(), reply, 0);
}

describe('the circuit', () => {
  it('opens after three failures in a row, and nothing is asked', () => {
    ask(TIMEOUT, TIMEOUT, MISSING, TIMEOUT, LOADING);
    expect(circuit.state).toBe('closed');
    ask(TIMEOUT);
    expect(circuit.state).toBe('open');
    expect(circuit.enter()).toBe(REFUSED);
  });

  it.each<[string, CircuitState, RedisReply]>([
    ['a time-out', 'open', TIMEOUT],
    ['an error that any read would meet', 'open', LOADING],
    ['an error about what was asked', 'closed', MOVED],
    ['a key of another type', 'closed', { kind: 'wrong-type' }],
    ['a missing key', 'closed', MISSING],
    ['a lost connection, which is known without asking', 'closed', LOST],
  ])('after %s, many a time: %s', (_, state, reply) => {
    for (let i = 0; i < 10; i++) ask(reply);
    expect(circuit.state).toBe(state);
  });

  it('does not count a time-out as a failure while the connection receives large values', () => {
    for (let i = 0; i < 10; i++) circuit.end(circuit.enter(), TIMEOUT, MiB);
    expect(circuit.state).toBe('closed');
    for (let i = 0; i < 3; i++) circuit.end(circuit.enter(), TIMEOUT, MiB - 1);
    expect(circuit.state).toBe('open');
    now += OPEN_MS;
    circuit.end(circuit.enter(), TIMEOUT, MiB);
    expect(circuit.state).toBe('closed');
  });

  it('lets a single probe through after a while; its answer closes the circuit', () => {
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 1;
    expect(circuit.enter()).toBe(REFUSED);
    now += 1;
    const probe = circuit.enter();
    expect([probe === REFUSED, circuit.enter(), circuit.state]).toEqual([false, REFUSED, 'half-open']);
    circuit.end(probe, MISSING, 0);
    expect(circuit.enter()).not.toBe(REFUSED);
    expect(told).toEqual(['closed', 'open (timeout)', 'half-open', 'closed']);
  });

  it.each([TIMEOUT, LOADING, LOST])('is open as long again when the probe fails (%j)', (failure) => {
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS;
    const probe = circuit.enter();
    now += 1000;
    circuit.end(probe, failure, 0);
    now += OPEN_MS - 1;
    expect([circuit.state, circuit.enter()]).toEqual(['open', REFUSED]);
    now += 1;
    expect(circuit.enter()).not.toBe(REFUSED);
  });

  it('does not mind what was asked before it opened and fails late', () => {
    const late = Array.from({ length: 5 }, () => circuit.enter());
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 1;
    circuit.end(late[0], TIMEOUT, 0);
    now += 1;
    const probe = circuit.enter();
    circuit.end(late[1], TIMEOUT, 0);
    expect(circuit.state).toBe('half-open');
    circuit.end(probe, MISSING, 0);
    for (const turn of late.slice(2)) circuit.end(turn, TIMEOUT, 0);
    expect(circuit.state).toBe('closed');
  });

  it('closes when what was asked before it opened is answered after all, and when there is a new connection', () => {
    const late = circuit.enter();
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    circuit.end(late, MISSING, 0);
    expect(circuit.state).toBe('closed');
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    circuit.close();
    expect(circuit.state).toBe('closed');
  });

  it('probes by itself when nobody asks for anything, until there is an answer', () => {
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    pass(OPEN_MS - 1);
    expect([probes.length, circuit.state]).toEqual([0, 'open']);
    pass(1);
    expect([probes.length, circuit.state]).toEqual([1, 'half-open']);
    pass(1000);
    circuit.end(probes[0], TIMEOUT, 0);
    pass(OPEN_MS);
    expect([probes.length, circuit.state]).toEqual([2, 'half-open']);
    circuit.end(probes[1], NOPERM, 0);
    expect([circuit.state, timers.size]).toEqual(['closed', 0]);
  });

  it('leaves that to who asks for something, and when there is a new connection', () => {
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS;
    const probe = circuit.enter();
    pass(0);
    circuit.end(probe, TIMEOUT, 0);
    circuit.close();
    pass(OPEN_MS);
    expect([probes, timers.size]).toEqual([[], 0]);
  });

  it('probes by itself also when the timer is early by the clock', () => {
    ask(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 0.5;
    for (const run of timers.keys()) run();
    expect([probes.includes(REFUSED), circuit.state]).toEqual([false, 'half-open']);
  });

  it('probes at once when what has timed out is answered after all, which makes up for no failure', () => {
    ask(TIMEOUT, TIMEOUT);
    circuit.endLate();
    ask(TIMEOUT);
    expect([circuit.state, probes.length]).toEqual(['open', 0]);
    circuit.endLate();
    circuit.endLate();
    expect([circuit.state, probes.length]).toEqual(['half-open', 1]);
    circuit.end(probes[0], MISSING, 0);
    expect([circuit.state, timers.size]).toEqual(['closed', 0]);
  });

  it('never has two probes under way, never stays shut, and refuses nothing while Redis answers', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'enter' as const }),
      fc.record({ kind: fc.constant('end' as const), which: fc.nat(), reply: fc.constantFrom(TIMEOUT, LOST, MISSING) }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const tested = new CircuitBreaker(
          () => undefined,
          () => now,
          later,
        );
        const underWay: { turn: number; probe: boolean }[] = [];
        let failedInARow = 0;
        for (const next of steps) {
          if (next.kind === 'wait') now += next.ms;
          else if (next.kind === 'enter') {
            const before = tested.state;
            const turn = tested.enter();
            if (before === 'half-open') expect(turn).toBe(REFUSED);
            if (turn !== REFUSED) underWay.push({ turn, probe: before !== 'closed' });
            else expect(failedInARow).toBeGreaterThanOrEqual(3);
          } else if (underWay.length > 0) {
            const [{ turn }] = underWay.splice(next.which % underWay.length, 1);
            failedInARow = next.reply === MISSING ? 0 : failedInARow + 1;
            tested.end(turn, next.reply, 0);
            if (next.reply === MISSING) expect(tested.state).toBe('closed');
          }
          if (tested.state === 'half-open') expect(underWay.filter(({ probe }) => probe)).not.toHaveLength(0);
        }
        for (const { turn } of underWay) tested.end(turn, TIMEOUT, 0);
        now += OPEN_MS;
        expect(tested.enter()).not.toBe(REFUSED);
      }),
    );
  });
});
