import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Mutex } from './mutex.ts';
import { TURN_WRITE_TIMEOUT_MS } from './time-limits.ts';

class Exchange extends EventEmitter {
  destroyed = false;
  started = false;

  /** The response is there, and its client does not read it. */
  render(): void {
    this.emit('prefinish');
  }

  end(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function admitAll(count: number): Exchange[] {
  const sequencer = new Mutex();
  return Array.from({ length: count }, () => {
    const exchange = new Exchange();
    sequencer.admit(exchange, () => (exchange.started = true));
    return exchange;
  });
}

const started = (exchanges: Exchange[]): boolean[] => exchanges.map((exchange) => exchange.started);

describe('requests in sequence', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('start in the order in which they came, each when the one before it has been answered', () => {
    const exchanges = admitAll(3);
    expect(started(exchanges)).toEqual([true, false, false]);
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, true, false]);
    exchanges[1].end();
    expect(started(exchanges)).toEqual([true, true, true]);
  });

  it('skip those whose client has gone', () => {
    const exchanges = admitAll(4);
    exchanges[1].end();
    exchanges[2].end();
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, false, false, true]);
  });

  it('wait for a response that is not ready, however long that takes', () => {
    const exchanges = admitAll(2);
    jest.advanceTimersByTime(3_600_000);
    expect(started(exchanges)).toEqual([true, false]);
  });

  it('do not wait for a client that does not read its response', () => {
    const exchanges = admitAll(3);
    exchanges[0].render();
    jest.advanceTimersByTime(TURN_WRITE_TIMEOUT_MS - 1);
    expect(started(exchanges)).toEqual([true, false, false]);
    jest.advanceTimersByTime(1);
    expect(started(exchanges)).toEqual([true, true, false]);
    // Its end is not the end of the turn that is another's by now.
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, true, false]);
    exchanges[1].render();
    exchanges[1].end();
    expect(started(exchanges)).toEqual([true, true, true]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
