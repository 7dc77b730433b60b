import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { CLOSE_GRACE_MS } from '../time-limits.ts';
import { LIMITS, LineProtocol, replyTo, settled } from './pipelined-connection.spec-support.ts';

/** More bytes than are written to a client that does not read. */
const TOO_MUCH = 2 ** 17;
/** Most memory of one reply, more than half of what may be buffered. */
const MAX_MEMORY = 600_000;

describe('PipelinedConnection, whatever the order of events', () => {
  const requests = fc.array(
    fc.record({
      command: fc.constantFrom('now', 'read', 'read'),
      size: fc.constantFrom(1, 100, 5000),
      memory: fc.constantFrom(0, 100, 20_000, MAX_MEMORY),
    }),
    { minLength: 1, maxLength: 200, size: 'max' },
  );
  /** Events, by number: bytes arrive, a read ends or fails, the client stops or starts reading, the protocol blocks. */
  const events = fc.array(fc.nat(99), { maxLength: 200, size: 'max' });

  it('sends all replies in order, within its limits, then closes without holding memory', async () => {
    const property = fc.asyncProperty(requests, events, fc.constantFrom(5, 50, 5000), async (lines, numbers, piece) => {
      const protocol = new LineProtocol();
      const { socket, connection, reads } = protocol;
      const failed = new Set<number>();
      let unsent = lines.map(({ command, size, memory }) => `${command} ${size} ${memory}\n`).join('');
      const step = async (event: number): Promise<void> => {
        if (event < 40) {
          socket.push(unsent.slice(0, piece));
          unsent = unsent.slice(piece);
        } else if (event < 80) {
          const [read] = reads.splice(event % Math.max(1, reads.length), 1);
          if (event < 75) read?.end('');
          else if (read !== undefined) read.fail(new Error(`${failed.add(read.request).size}`));
        } else if (event < 90) socket.isReading = false;
        else if (event < 96) socket.readAll();
        else {
          protocol.isBlocked = !protocol.isBlocked;
          connection.wake();
        }
        await settled();
        if (!connection.isBlocked) expect(socket.isPaused()).toBe(false);
        if (connection.isBackpressured) expect(socket.isPaused()).toBe(true);
        expect(connection.replies.length).toBeLessThanOrEqual(128);
        expect(reads.length).toBeLessThanOrEqual(128);
        expect(protocol.bufferedBytes).toBeLessThanOrEqual(2 ** 20 + 2 * MAX_MEMORY);
        expect(socket.lines).toBeLessThanOrEqual(protocol.published);
      };
      for (const number of numbers) await step(number);
      protocol.isBlocked = false;
      connection.wake();
      for (let left = 20 * lines.length; left > 0 && (protocol.requests < lines.length || !connection.isIdle); left--) {
        for (const event of [0, 40, 95]) await step(event);
      }
      const expected = lines.map(({ size }, i) => (failed.has(i) ? `failed ${i}\n` : replyTo(i, size)));
      expect(socket.received === expected.join('')).toBe(true);
      expect([protocol.bugs.length, protocol.failed]).toEqual([failed.size, failed.size]);
      const closed = once(socket, 'close');
      socket.push(null);
      await closed;
      expect([protocol.closed, protocol.memory.holders.size, socket.writableFinished]).toEqual([1, 0, true]);
    });
    await fc.assert(property, { numRuns: 15 });
  });
});

describe('PipelinedConnection', () => {
  let protocol: LineProtocol;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    protocol = new LineProtocol();
  });
  afterEach(() => {
    protocol.socket.destroy();
    jest.useRealTimers();
  });

  const send = async (text: string): Promise<void> => {
    protocol.socket.push(text);
    await settled();
  };

  it('writes the replies to all requests of a chunk at once', async () => {
    const write = jest.spyOn(protocol.socket, '_write');
    await send('now 1\nnow 1\nnow 1\n');
    expect([protocol.socket.received, write.mock.calls.length]).toEqual(['0\n1\n2\n', 1]);
  });

  it('writes the replies of all reads that end in one tick at once', async () => {
    await send('read 1\nread 1\nread 1\n');
    const write = jest.spyOn(protocol.socket, '_write');
    for (const read of protocol.reads.toReversed()) read.end('');
    await settled();
    expect([protocol.socket.received, write.mock.calls.length]).toEqual(['0\n1\n2\n', 1]);
  });

  it('stops reading while the client does not read, and continues with the buffered input', async () => {
    const { socket } = protocol;
    socket.isReading = false;
    await send(`now ${TOO_MUCH}\n`);
    await send('now 1\n');
    expect([socket.isPaused(), protocol.requests]).toEqual([true, 1]);
    socket.readAll();
    await settled();
    expect([socket.isPaused(), socket.received.endsWith('\n1\n'), socket.timeoutMs]).toEqual([false, true, 0]);
  });

  it('keeps reading up to 16 KiB while no request may be executed, and executes them in order later', async () => {
    const { socket, connection } = protocol;
    protocol.isBlocked = true;
    connection.wake();
    const half = 'now 1\n'.repeat((8 * 1024) / 6);
    await send(half);
    expect([socket.isPaused(), protocol.requests]).toEqual([false, 0]);
    await send(half + 'now 1\nnow 1\n');
    expect([socket.isPaused(), protocol.requests]).toEqual([true, 0]);
    protocol.isBlocked = false;
    connection.wake();
    await settled();
    expect([socket.isPaused(), protocol.requests, connection.hasInput]).toEqual([false, 2732, false]);
  });

  it('executes what it has received while it was blocked once more arrives, if memory has become free meanwhile', async () => {
    const { socket, memory } = protocol;
    memory.left = 0;
    await send('read 1\nnow 1\n');
    expect(protocol.requests).toBe(1);
    memory.left = 1e9;
    await send('now 1\n');
    expect([protocol.requests, protocol.connection.hasInput]).toEqual([3, false]);
    jest.advanceTimersByTime(LIMITS.requestTimeoutMs);
    expect(socket.destroyed).toBe(false);
  });

  it('replies to what a client has sent before it closed its sending side, if memory has become free meanwhile', async () => {
    const { socket, memory, reads } = protocol;
    memory.left = 0;
    await send('read 1\nnow 1\n');
    memory.left = 1e9;
    socket.push(null);
    await settled();
    reads[0].end('');
    await once(socket, 'close');
    expect(socket.received).toBe('0\n1\n');
  });

  it('notices that a client has disconnected, or closed its sending side, while its reads are in flight', async () => {
    const { socket, connection } = protocol;
    protocol.isBlocked = true;
    connection.wake();
    await settled();
    expect([connection.isBlocked, connection.mayBeClosed, connection.isClosed]).toEqual([true, false, false]);
    socket.push(null);
    await settled();
    expect([connection.mayBeClosed, connection.isClosed]).toEqual([true, false]);
    socket.destroy();
    await settled();
    expect([connection.mayBeClosed, connection.isClosed]).toEqual([true, true]);
  });

  it('disconnects a client that reads none of its replies for the time limit', async () => {
    const { socket } = protocol;
    socket.isReading = false;
    await send('now 1\n');
    expect(socket.timeoutMs).toBe(LIMITS.stallTimeoutMs);
    socket.emit('timeout');
    expect(socket.destroyed).toBe(true);
  });

  it('does not disconnect a client that has read its replies before the time limit', async () => {
    const { socket } = protocol;
    socket.isReading = false;
    await send('now 1\n');
    socket.readAll();
    socket.emit('timeout');
    expect([socket.destroyed, socket.timeoutMs]).toEqual([false, 0]);
  });

  it('disconnects a client that does not send the rest of a request within the time limit', async () => {
    const { socket } = protocol;
    await send('now 1\nno');
    jest.advanceTimersByTime(LIMITS.requestTimeoutMs - 1);
    await send('w 1\nno');
    jest.advanceTimersByTime(LIMITS.requestTimeoutMs - 1);
    await send('w');
    expect(socket.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(socket.destroyed).toBe(true);
  });

  it('has no time limit for the rest of a request while it does not read', async () => {
    protocol.isBlocked = true;
    await send('now 1\n');
    protocol.connection.wake();
    await send('now 1\n');
    jest.advanceTimersByTime(LIMITS.requestTimeoutMs);
    expect(protocol.socket.destroyed).toBe(false);
  });

  it('replies to all complete requests of a half-closed connection, and closes it', async () => {
    const { socket, reads } = protocol;
    await send('read 1\nnow 1\nno');
    socket.push(null);
    await settled();
    expect(socket.writableEnded).toBe(false);
    reads[0].end('');
    const closed = once(socket, 'close');
    await closed;
    expect([socket.received, socket.writableFinished]).toEqual(['0\n1\n', true]);
  });

  it('after the last reply, discards input until the client closes or the grace time has passed', async () => {
    const { socket } = protocol;
    await send('read 1\nquit 1\nnow 1\n');
    await send('now 1\n');
    protocol.reads[0].end('');
    await settled();
    expect([socket.received, socket.writableFinished, protocol.requests]).toEqual(['0\n1\n', true, 2]);
    await send('now 1\n');
    jest.advanceTimersByTime(CLOSE_GRACE_MS - 1);
    expect([socket.destroyed, socket.readableLength]).toEqual([false, 0]);
    jest.advanceTimersByTime(1);
    expect(socket.destroyed).toBe(true);
  });

  it('disconnects a client that does not read its last reply within the time limit, although it sends', async () => {
    const { socket } = protocol;
    socket.isReading = false;
    await send('quit 1\n');
    jest.advanceTimersByTime(LIMITS.stallTimeoutMs - 1);
    await send('now 1\n');
    expect(socket.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(socket.destroyed).toBe(true);
  });

  it('finish() replies to the requests received so far, even while the protocol is blocked, and closes', async () => {
    const { socket, connection } = protocol;
    await send('now 1\n');
    protocol.isBlocked = true;
    await send('now 1\n');
    connection.finish();
    await settled();
    expect([socket.received, socket.writableEnded]).toEqual(['0\n', false]);
    protocol.isBlocked = false;
    connection.wake();
    await settled();
    expect([socket.received, socket.writableEnded]).toEqual(['0\n1\n', true]);
  });

  it('an exception closes the connection, and discards and counts the replies that were not written', async () => {
    const { socket, output } = protocol;
    await send('now 1\nfault\n');
    expect([socket.destroyed, socket.received, output.text]).toEqual([true, '', '']);
    expect([protocol.failed, protocol.published, protocol.closed]).toEqual([1, 0, 1]);
    expect(protocol.bugs).toEqual([new Error('a fault')]);
  });

  it('logs errors of its socket, except those of the client and the network', async () => {
    protocol.socket.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    await settled();
    expect([protocol.bugs, protocol.closed]).toEqual([[], 1]);
    const other = new LineProtocol();
    other.socket.destroy(new Error('unexpected'));
    await settled();
    expect([other.bugs, other.failed]).toEqual([[new Error('unexpected')], 1]);
  });

  it('drops replies that were read for a client that has disconnected, without an error', async () => {
    await send('read 1\nread 1\n');
    protocol.socket.destroy();
    await settled();
    for (const read of protocol.reads) read.end('');
    await settled();
    expect([protocol.bugs, protocol.memory.holders.size]).toEqual([[], 0]);
  });

  it('detach() leaves the socket without listeners and time limits', async () => {
    const { socket, connection } = protocol;
    await send('now 1\nno');
    expect(connection.detach()).toBe(false);
    jest.advanceTimersByTime(LIMITS.requestTimeoutMs);
    expect([socket.destroyed, socket.listenerCount('data'), socket.listenerCount('drain')]).toEqual([false, 0, 0]);
  });
});
