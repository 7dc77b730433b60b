import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CircuitBreaker, type CircuitState, type Schedule, REFUSED } from './circuit-breaker.ts';
import type { RedisReply } from '../redis-reply.ts';

const MiB = 2 ** 20;
const OPEN_MS = 250;
const TIMEOUT: RedisReply = { kind: 'timeout' };
const MISSING: RedisReply = { kind: 'missing' };
const LOST: RedisReply = { kind: 'unavailable', reason: 'connection' };
const LOADING: RedisReply = { kind: 'unavailable', reason: 'LOADING', scope: 'server' };
const NOPERM: RedisReply = { kind: 'unavailable', reason: 'NOPERM', scope: 'command' };
const MOVED: RedisReply = { kind: 'unavailable', reason: 'MOVED', scope: 'command' };

let now: number;
let reported: string[];
let circuit: CircuitBreaker;
/** Scheduled functions, and when they are due. */
let timers: Map<() => void, number>;
/** Generations of the synthetic probes. */
let probes: number[];

const schedule: Schedule = (run, ms) => {
  timers.set(run, now + ms);
  return () => timers.delete(run);
};

/** Advances the clock and fires the timers that are due. */
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
  reported = [];
  timers = new Map();
  probes = [];
  const probe = (): void => void probes.push(circuit.tryAcquire());
  circuit = new CircuitBreaker(probe, () => now, schedule);
  circuit.watch((state, reason) => reported.push(state === 'open' ? `open (${reason})` : state));
});

function attempt(...replies: RedisReply[]): void {
  for (const reply of replies) circuit.record(circuit.tryAcquire(), reply, 0);
}

describe('CircuitBreaker', () => {
  it('opens after three consecutive failures, and then refuses attempts', () => {
    attempt(TIMEOUT, TIMEOUT, MISSING, TIMEOUT, LOADING);
    expect(circuit.state).toBe('closed');
    attempt(TIMEOUT);
    expect(circuit.state).toBe('open');
    expect(circuit.tryAcquire()).toBe(REFUSED);
  });

  it.each<[string, CircuitState, RedisReply]>([
    ['a time-out', 'open', TIMEOUT],
    ['a server-wide error', 'open', LOADING],
    ['an error that concerns one command', 'closed', MOVED],
    ['a key of another type', 'closed', { kind: 'wrong-type' }],
    ['a missing key', 'closed', MISSING],
    ['a lost connection', 'closed', LOST],
  ])('after %s, repeated, is %s', (_, state, reply) => {
    for (let i = 0; i < 10; i++) attempt(reply);
    expect(circuit.state).toBe(state);
  });

  it('does not count a time-out as a failure while the connection receives large values', () => {
    for (let i = 0; i < 10; i++) circuit.record(circuit.tryAcquire(), TIMEOUT, MiB);
    expect(circuit.state).toBe('closed');
    for (let i = 0; i < 3; i++) circuit.record(circuit.tryAcquire(), TIMEOUT, MiB - 1);
    expect(circuit.state).toBe('open');
    now += OPEN_MS;
    circuit.record(circuit.tryAcquire(), TIMEOUT, MiB);
    expect(circuit.state).toBe('closed');
  });

  it('permits a single probe after OPEN_MS; its success closes the circuit', () => {
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 1;
    expect(circuit.tryAcquire()).toBe(REFUSED);
    now += 1;
    const probe = circuit.tryAcquire();
    expect([probe === REFUSED, circuit.tryAcquire(), circuit.state]).toEqual([false, REFUSED, 'half-open']);
    circuit.record(probe, MISSING, 0);
    expect(circuit.tryAcquire()).not.toBe(REFUSED);
    expect(reported).toEqual(['closed', 'open (timeout)', 'half-open', 'closed']);
  });

  it.each([TIMEOUT, LOADING, LOST])('stays open for another OPEN_MS if the probe fails (%j)', (failure) => {
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS;
    const probe = circuit.tryAcquire();
    now += 1000;
    circuit.record(probe, failure, 0);
    now += OPEN_MS - 1;
    expect([circuit.state, circuit.tryAcquire()]).toEqual(['open', REFUSED]);
    now += 1;
    expect(circuit.tryAcquire()).not.toBe(REFUSED);
  });

  it('ignores late failures of attempts from before it opened', () => {
    const late = Array.from({ length: 5 }, () => circuit.tryAcquire());
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 1;
    circuit.record(late[0], TIMEOUT, 0);
    now += 1;
    const probe = circuit.tryAcquire();
    circuit.record(late[1], TIMEOUT, 0);
    expect(circuit.state).toBe('half-open');
    circuit.record(probe, MISSING, 0);
    for (const generation of late.slice(2)) circuit.record(generation, TIMEOUT, 0);
    expect(circuit.state).toBe('closed');
  });

  it('closes on a late success of an attempt from before it opened, and on a new connection', () => {
    const late = circuit.tryAcquire();
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    circuit.record(late, MISSING, 0);
    expect(circuit.state).toBe('closed');
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    circuit.close();
    expect(circuit.state).toBe('closed');
  });

  it('sends synthetic probes while idle, until one succeeds', () => {
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    pass(OPEN_MS - 1);
    expect([probes.length, circuit.state]).toEqual([0, 'open']);
    pass(1);
    expect([probes.length, circuit.state]).toEqual([1, 'half-open']);
    pass(1000);
    circuit.record(probes[0], TIMEOUT, 0);
    pass(OPEN_MS);
    expect([probes.length, circuit.state]).toEqual([2, 'half-open']);
    circuit.record(probes[1], NOPERM, 0);
    expect([circuit.state, timers.size]).toEqual(['closed', 0]);
  });

  it('sends no synthetic probe if a regular attempt is the probe, or after a new connection', () => {
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS;
    const probe = circuit.tryAcquire();
    pass(0);
    circuit.record(probe, TIMEOUT, 0);
    circuit.close();
    pass(OPEN_MS);
    expect([probes, timers.size]).toEqual([[], 0]);
  });

  it('sends the synthetic probe even if the timer fires early by the clock', () => {
    attempt(TIMEOUT, TIMEOUT, TIMEOUT);
    now += OPEN_MS - 0.5;
    for (const run of timers.keys()) run();
    expect([probes.includes(REFUSED), circuit.state]).toEqual([false, 'half-open']);
  });

  it('probes immediately on a reply after the time-out, which clears no failure', () => {
    attempt(TIMEOUT, TIMEOUT);
    circuit.recordLateReply();
    attempt(TIMEOUT);
    expect([circuit.state, probes.length]).toEqual(['open', 0]);
    circuit.recordLateReply();
    circuit.recordLateReply();
    expect([circuit.state, probes.length]).toEqual(['half-open', 1]);
    circuit.record(probes[0], MISSING, 0);
    expect([circuit.state, timers.size]).toEqual(['closed', 0]);
  });

  it('never has two probes in flight, never stays open, and refuses nothing while Redis replies', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'acquire' as const }),
      fc.record({
        kind: fc.constant('record' as const),
        index: fc.nat(),
        reply: fc.constantFrom(TIMEOUT, LOST, MISSING),
      }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const circuit = new CircuitBreaker(
          () => undefined,
          () => now,
          schedule,
        );
        const inFlight: { generation: number; probe: boolean }[] = [];
        let consecutiveFailures = 0;
        for (const next of steps) {
          if (next.kind === 'wait') now += next.ms;
          else if (next.kind === 'acquire') {
            const before = circuit.state;
            const generation = circuit.tryAcquire();
            if (before === 'half-open') expect(generation).toBe(REFUSED);
            if (generation !== REFUSED) inFlight.push({ generation, probe: before !== 'closed' });
            else expect(consecutiveFailures).toBeGreaterThanOrEqual(3);
          } else if (inFlight.length > 0) {
            const [{ generation }] = inFlight.splice(next.index % inFlight.length, 1);
            consecutiveFailures = next.reply === MISSING ? 0 : consecutiveFailures + 1;
            circuit.record(generation, next.reply, 0);
            if (next.reply === MISSING) expect(circuit.state).toBe('closed');
          }
          if (circuit.state === 'half-open') expect(inFlight.filter(({ probe }) => probe)).not.toHaveLength(0);
        }
        for (const { generation } of inFlight) circuit.record(generation, TIMEOUT, 0);
        now += OPEN_MS;
        expect(circuit.tryAcquire()).not.toBe(REFUSED);
      }),
    );
  });
});
