import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Mutex } from './mutex.ts';
import { MUTEX_WRITE_TIMEOUT_MS } from './time-limits.ts';

class Exchange extends EventEmitter {
  destroyed = false;
  started = false;

  /** Completes the response; its client does not read it. */
  render(): void {
    this.emit('prefinish');
  }

  end(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function runAll(count: number): Exchange[] {
  const mutex = new Mutex();
  return Array.from({ length: count }, () => {
    const exchange = new Exchange();
    mutex.run(exchange, () => (exchange.started = true));
    return exchange;
  });
}

const started = (exchanges: Exchange[]): boolean[] => exchanges.map((exchange) => exchange.started);

describe('Mutex', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('starts requests in order, each after the previous response has been sent', () => {
    const exchanges = runAll(3);
    expect(started(exchanges)).toEqual([true, false, false]);
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, true, false]);
    exchanges[1].end();
    expect(started(exchanges)).toEqual([true, true, true]);
  });

  it('skips requests whose client has disconnected', () => {
    const exchanges = runAll(4);
    exchanges[1].end();
    exchanges[2].end();
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, false, false, true]);
  });

  it('waits for a response that is not ready, without a time limit', () => {
    const exchanges = runAll(2);
    jest.advanceTimersByTime(3_600_000);
    expect(started(exchanges)).toEqual([true, false]);
  });

  it('does not wait for a client that does not read its response', () => {
    const exchanges = runAll(3);
    exchanges[0].render();
    jest.advanceTimersByTime(MUTEX_WRITE_TIMEOUT_MS - 1);
    expect(started(exchanges)).toEqual([true, false, false]);
    jest.advanceTimersByTime(1);
    expect(started(exchanges)).toEqual([true, true, false]);
    // Its end must not release the mutex, which another request holds by now.
    exchanges[0].end();
    expect(started(exchanges)).toEqual([true, true, false]);
    exchanges[1].render();
    exchanges[1].end();
    expect(started(exchanges)).toEqual([true, true, true]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
