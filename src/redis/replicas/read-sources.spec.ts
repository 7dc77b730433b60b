import { describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import type { RedisReply } from '../redis-reply.ts';
import { type Attempt, type ReadSources, counted, limitStorage, readFrom } from './read-sources.ts';

const VALUE: RedisReply = { kind: 'value', value: Buffer.from('value'), ttlMs: 5000 };
const NOT_STORED = { ...VALUE, ttlMs: 0 };
const MISSING: RedisReply = { kind: 'missing', reply: Buffer.from(':0\r\n') };
const LOST: RedisReply = { kind: 'unavailable', reason: 'connection' };

describe('a reply', () => {
  const latestEpoch = new Int32Array(new SharedArrayBuffer(4));
  latestEpoch[0] = 7;
  const sources = (epoch: number): ReadSources => ({ epoch, latestEpoch, sources: [] });
  const coherent = { isCoherent: true, isSelected: true };

  it.each([
    ['of the selected server', { ...coherent, sources: sources(7) }, VALUE],
    ['of another server', { ...coherent, isSelected: false, sources: sources(7) }, NOT_STORED],
    ['of the server of a former selection', { ...coherent, sources: sources(6) }, NOT_STORED],
    ['before the first selection', { ...coherent, sources: undefined }, NOT_STORED],
    ['if coherence does not depend on the server', { isCoherent: false, isSelected: false, sources: undefined }, VALUE],
  ])('%s is stored accordingly', (_, condition, expected) => {
    expect(limitStorage(VALUE, condition)).toEqual(expected);
  });

  it('that a key does not exist is not stored either, and failures remain as they are', () => {
    const condition = { ...coherent, isSelected: false, sources: sources(7) };
    expect(limitStorage({ kind: 'missing', reply: Buffer.from(':0\r\n') }, condition)).toMatchObject({ ttlMs: 0 });
    expect(limitStorage(LOST, condition)).toBe(LOST);
  });
});

describe('readFrom', () => {
  const replying =
    (reply: RedisReply, isRedirected?: boolean): Attempt<RedisReply> =>
    (onReply) =>
      onReply(reply, isRedirected);
  const read = (first: Attempt<RedisReply>, second?: Attempt<RedisReply>, confirmsMissing = false) =>
    new Promise<[RedisReply, boolean]>((resolve) =>
      readFrom<RedisReply>({ first, second, confirmsMissing, timeoutMs: 60_000 }, (reply, isSelected) =>
        resolve([reply, isSelected]),
      ),
    );

  it('reads the first server, and notes whether it has replied itself', async () => {
    const never = replying({ kind: 'missing' });
    expect(await read(replying(VALUE), never)).toEqual([VALUE, true]);
    expect(await read(replying(VALUE, true), never)).toEqual([VALUE, false]);
  });

  it.each<[string, RedisReply, boolean]>([
    ['a lost connection', LOST, true],
    ['LOADING', { kind: 'unavailable', reason: 'LOADING', scope: 'server' }, true],
    ['an open circuit', { kind: 'unavailable', reason: 'circuit' }, true],
    ['a time-out', { kind: 'timeout' }, false],
    ['an error of the command', { kind: 'unavailable', reason: 'NOPERM', scope: 'command' }, false],
    ['a missing key', { kind: 'missing' }, false],
  ])('after %s reads the second server: %j %s', async (_, reply, isRepeated) => {
    expect(await read(replying(reply), replying(VALUE))).toEqual(isRepeated ? [VALUE, false] : [reply, true]);
    expect(await read(replying(reply))).toEqual([reply, true]);
  });

  it.each<[string, RedisReply, boolean, [RedisReply, boolean]]>([
    ['has it', VALUE, false, [VALUE, false]],
    ['does not have it either', { kind: 'missing' }, false, [MISSING, true]],
    [
      'has redirected, and it is missing there',
      { kind: 'missing', ttlMs: 0 },
      true,
      [{ kind: 'missing', ttlMs: 0 }, false],
    ],
    ['is lost', LOST, false, [MISSING, true]],
    ['does not reply in time', { kind: 'timeout' }, false, [MISSING, true]],
  ])('lets the second server confirm that a key is missing: it %s', async (_, reply, isRedirected, expected) => {
    expect(await read(replying(MISSING), replying(reply, isRedirected), true)).toEqual(expected);
  });

  it('needs no confirmation of a value, or if the first server has redirected to another one', async () => {
    const never = replying(VALUE);
    expect(await read(replying(MISSING, true), never, true)).toEqual([MISSING, false]);
    expect(await read(replying(NOT_STORED), never, true)).toEqual([NOT_STORED, true]);
  });

  it('counts replies, and no failures', () => {
    const counts: boolean[] = [];
    const count = (isRedirected: boolean): void => void counts.push(isRedirected);
    const replies = [replying(VALUE), replying(LOST), replying({ kind: 'timeout' }), replying(MISSING, true)];
    for (const attempt of replies) counted(attempt, count)(() => undefined);
    expect(counts).toEqual([false, true]);
  });

  it('times out within the limit for both, and ignores a later reply', async () => {
    let replyLate: ((reply: RedisReply) => void) | undefined;
    const outcomes: RedisReply[] = [];
    const second: Attempt<RedisReply> = (onReply) => (replyLate = onReply);
    const attempts = { first: replying(LOST), second, confirmsMissing: false, timeoutMs: 5 };
    readFrom<RedisReply>(attempts, (reply) => void outcomes.push(reply));
    await until('it has timed out', () => outcomes.length > 0 || undefined);
    replyLate?.(VALUE);
    expect(outcomes).toEqual([{ kind: 'timeout' }]);
  });
});
