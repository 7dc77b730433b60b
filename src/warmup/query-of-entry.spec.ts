import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RESOURCES, readFromQuery } from '../http/resources/resource.ts';
import { KEY_COMMANDS } from '../redis-commands/key-command-table.ts';
import { QUERY_COMMANDS } from '../redis-commands/query-commands.ts';
import { Query, selectorOf } from '../redis/query.ts';
import { queryOfEntry } from './query-of-entry.ts';

const KEY = Buffer.from('the key');
const buffers = (...args: string[]): Buffer[] => args.map((arg) => Buffer.from(arg));
const selectorOfQuery = (query: Query): Buffer => query.id.subarray(query.key.length);
const again = (query: Query): Query | undefined => queryOfEntry({ key: query.key, selector: selectorOfQuery(query) });

const NAMES = new Set([...QUERY_COMMANDS.map(({ name }) => name), 'exists']);

/** A query of each command, with as many arguments as it needs. */
const QUERIES = QUERY_COMMANDS.map(({ syntax, arity }) => {
  const args = Array.from({ length: Math.abs(arity) - 2 }, (_, i) => Buffer.from(String(i)));
  return syntax.query(syntax.parse([KEY, ...args]).args);
});

describe('the query of an entry', () => {
  it('is GET without a selector', () => {
    expect(queryOfEntry({ key: KEY, selector: Buffer.alloc(0) })).toEqual(Query.get(KEY));
  });

  it.each(QUERIES.map((query) => [query.command.join(' '), query] as const))('is the same for %s', (_, query) => {
    expect(again(query)).toEqual(query);
  });

  it('is the same for the queries of commands about several keys', () => {
    for (const command of KEY_COMMANDS) {
      if (command.returns !== 'results') continue;
      for (const query of command.queries(buffers('a', 'b'))) expect(again(query)).toEqual(query);
    }
  });

  it.each([
    ...[[RESOURCES.hash, ''] as const, [RESOURCES.set, ''] as const, [RESOURCES.list, 'start=2&stop=-1'] as const],
    ...[[RESOURCES.zset, ''] as const, [RESOURCES.zset, 'by=score&order=desc&withScores=true&start=1'] as const],
    ...[[RESOURCES['ReJSON-RL'], ''] as const, [RESOURCES['ReJSON-RL'], 'path=$.a'] as const],
  ])('is the same for the resource %#', (resource, query) => {
    const read = readFromQuery(resource, query === '' ? undefined : query);
    if (typeof read === 'string') throw new Error(read);
    const wanted = Query.of(KEY, read.command, read.form, read.selector);
    expect(again(wanted)).toEqual(wanted);
  });

  it('is the same for a field of a hash and a member of a set, of any bytes', () => {
    for (const part of [Buffer.alloc(0), Buffer.from([0, 0xff]), Buffer.alloc(9000, 'x')]) {
      for (const { readPart } of [RESOURCES.hash, RESOURCES.set]) {
        const read = readPart(part);
        const wanted = Query.of(KEY, read.command, read.form, read.selector);
        expect(again(wanted)).toEqual(wanted);
      }
    }
  });

  it.each([
    ['a command that writes', buffers('DEL')],
    ['a command that writes, with arguments', buffers('SET', 'value')],
    ['a command that is not about one key', buffers('KEYS')],
    ['GET as another command', buffers('GET')],
    ['a name in lower case', buffers('hgetall')],
    ['too few arguments', buffers('HGET')],
    ['too many arguments', buffers('HGETALL', 'x')],
    ['an option in lower case', buffers('ZRANGE', '0', '-1', 'withscores')],
    ['no command', []],
  ])('is undefined for %s', (_, command) => {
    expect(queryOfEntry({ key: KEY, selector: selectorOf(command) })).toBeUndefined();
  });

  it('is undefined for a form in which no resource stores the reply', () => {
    const stored = (id: number, ...command: string[]) =>
      queryOfEntry({ key: KEY, selector: selectorOf(buffers(...command), { id, render: () => undefined }) });
    expect(stored(2, 'HGETALL')?.form?.id).toBe(2);
    expect(stored(1, 'HGETALL')).toBeUndefined();
    expect(stored(200, 'HGETALL')).toBeUndefined();
    expect(stored(4, 'FLUSHALL')).toBeUndefined();
    expect(stored(1, 'LRANGE', '0')).toBeUndefined();
  });

  it('is a known command in its only encoding, whatever the bytes of the selector', () => {
    const argument = fc.oneof(
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(...buffers('HGETALL', 'ZRANGE', 'HGET', 'DEL', 'EXISTS', '0', '-1', 'WITHSCORES', 'rev')),
    );
    const selector = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.array(argument, { maxLength: 5 }), fc.nat({ max: 6 }), fc.nat({ max: 60 }), fc.nat({ max: 255 }))
        .map(([command, id, at, byte]) => {
          const bytes = selectorOf(command, id === 0 ? undefined : { id, render: () => undefined });
          if (at < bytes.length) bytes[at] = byte;
          return bytes;
        }),
    );
    let found = 0;
    fc.assert(
      fc.property(selector, (bytes) => {
        const query = queryOfEntry({ key: KEY, selector: bytes });
        if (query === undefined) return;
        found++;
        expect(NAMES).toContain(query.command[0].toString().toLowerCase());
        expect(selectorOfQuery(query)).toEqual(bytes);
        expect(selectorOf(query.command, query.form)).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
    expect(found).toBeGreaterThan(0);
  });
});
