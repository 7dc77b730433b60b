import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Sequencer } from './sequencer.ts';

class Exchange extends EventEmitter {
  destroyed = false;
  started = false;

  end(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function admitAll(count: number): Exchange[] {
  const sequencer = new Sequencer();
  return Array.from({ length: count }, () => {
    const exchange = new Exchange();
    sequencer.admit(exchange, () => (exchange.started = true));
    return exchange;
  });
}

const started = (exchanges: Exchange[]): boolean[] => exchanges.map((exchange) => exchange.started);

describe('requests in sequence', () => {
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
});
