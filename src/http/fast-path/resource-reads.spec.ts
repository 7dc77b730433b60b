import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Query } from '../../redis/query.ts';
import { RESOURCES, type Resource, readFromQuery } from '../resources/resource.ts';
import { RequestHead } from './request-head.ts';
import { ResourceReads } from './resource-reads.ts';

const all = Object.values<Resource>(RESOURCES);
const parameter = fc
  .tuple(
    fc.constantFrom('start', 'stop', 'order', 'by', 'withScores', 'path', 'other', ''),
    fc.constantFrom('0', '-1', '(1', '+inf', '%2Binf', 'asc', 'desc', 'rank', 'score', 'true', 'false', '$', '$.a', ''),
  )
  .map(([name, value]) => `${name}=${value}`);
const query = fc.array(parameter, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('&'));

describe('ResourceReads', () => {
  it('returns the same read for a query as a request without a memory of queries, each time', () => {
    const reads = new ResourceReads();
    fc.assert(
      fc.property(fc.constantFrom(...all), query, fc.nat({ max: 3 }), (resource, text, before) => {
        const bytes = Buffer.from(`${'x'.repeat(before)}${text} HTTP/1.1`);
        const expected = readFromQuery(resource, text);
        for (let i = 0; i < 2; i++) {
          const read = reads.withQuery(resource, bytes, before, before + text.length);
          if (typeof expected === 'string') expect(read).toBeUndefined();
          else expect(read).toEqual(expected);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('remembers a query: its read is the same object the next time', () => {
    const reads = new ResourceReads();
    const bytes = Buffer.from('start=1&stop=2');
    const first = reads.withQuery(RESOURCES.list, bytes, 0, bytes.length);
    expect(reads.withQuery(RESOURCES.list, Buffer.from(bytes), 0, bytes.length)).toBe(first);
    expect(reads.withQuery(RESOURCES.zset, bytes, 0, bytes.length)).not.toEqual(first);
  });

  it('does not remember long queries', () => {
    const reads = new ResourceReads();
    const bytes = Buffer.from(`start=${'1'.repeat(300)}`);
    const first = reads.withQuery(RESOURCES.list, bytes, 0, bytes.length);
    const second = reads.withQuery(RESOURCES.list, bytes, 0, bytes.length);
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
  });

  it('returns the default read without a query, and selectors of parts without their length', () => {
    const reads = new ResourceReads();
    for (const resource of all) expect(reads.whole(resource)).toEqual(readFromQuery(resource, undefined));
    const part = reads.part(RESOURCES.hash);
    const { selector } = RESOURCES.hash.readPart(Buffer.from('field'));
    expect(Buffer.concat([part?.selectorHead ?? Buffer.alloc(0), Buffer.from('\x05field')])).toEqual(selector);
    expect(reads.part(RESOURCES.list)).toBeUndefined();
  });
});

describe('readFromQuery', () => {
  const commandOf = (resource: Resource, text?: string): string => {
    const read = readFromQuery(resource, text);
    return typeof read === 'string' ? read : read.command.join(' ');
  };

  it.each([
    [RESOURCES.hash, undefined, 'HGETALL'],
    [RESOURCES.list, undefined, 'LRANGE 0 -1'],
    [RESOURCES.list, 'start=5', 'LRANGE 5 -1'],
    [RESOURCES.zset, undefined, 'ZRANGE 0 -1'],
    [RESOURCES.zset, 'order=desc&withScores=true', 'ZRANGE 0 -1 REV WITHSCORES'],
    [RESOURCES.zset, 'by=score', 'ZRANGE -inf +inf BYSCORE'],
    [RESOURCES.zset, 'by=score&start=(1&stop=+inf&order=desc', 'ZRANGE +inf (1 BYSCORE REV'],
    [RESOURCES['ReJSON-RL'], 'path=$', 'JSON.GET'],
    [RESOURCES['ReJSON-RL'], 'path=$.a+b', 'JSON.GET $.a b'],
    [RESOURCES.zset, 'by=lex', 'by must be rank or score.'],
    [RESOURCES.set, 'start=0', 'The query parameter "start" is unknown here; known: none.'],
    [RESOURCES.list, '', 'The query is empty.'],
  ])('%# makes the command of Redis', (resource, text, command) => {
    expect(commandOf(resource, text)).toBe(command);
  });

  it('gives every command and form an entry of its own', () => {
    const texts = [undefined, 'order=desc', 'by=score', 'by=score&order=desc', 'withScores=true', 'start=1', 'stop=1'];
    const names = texts.map((text) => {
      const read = readFromQuery(RESOURCES.zset, text);
      if (typeof read === 'string') throw new Error(read);
      return Query.of(Buffer.from('key'), read.command, read.form, read.selector).name;
    });
    expect(new Set(names).size).toBe(texts.length);
  });
});

describe('RequestHead of other resources', () => {
  const parse = (target: string): Record<string, unknown> | undefined => {
    const head = new RequestHead(8192);
    const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1');
    if (!head.scan(bytes, 0)) return undefined;
    const text = (from: number, to: number) => (from === 0 ? undefined : bytes.toString('latin1', from, to));
    return {
      path: head.resource?.path,
      key: text(head.keyFrom, head.keyTo),
      part: text(head.partFrom, head.partTo),
      query: text(head.queryFrom, head.queryTo),
    };
  };

  it.each([
    ['/v1/keys/key', { key: 'key' }],
    ['/v1/hashes/key', { path: '/v1/hashes/', key: 'key' }],
    ['/v1/hashes/a%2Fb/c/d', { path: '/v1/hashes/', key: 'a%2Fb', part: 'c/d' }],
    ['/v1/sets/key/', { path: '/v1/sets/', key: 'key', part: '' }],
    ['/v1/lists/a/b?start=0', { path: '/v1/lists/', key: 'a/b', query: 'start=0' }],
    ['/v1/sorted-sets/key?by=score&start=(1?', { path: '/v1/sorted-sets/', key: 'key', query: 'by=score&start=(1?' }],
    ['/v1/json/key?path=$', { path: '/v1/json/', key: 'key', query: 'path=$' }],
  ])('parses %s', (target, expected) => {
    expect(parse(target)).toEqual({ path: undefined, part: undefined, query: undefined, ...expected });
  });

  it.each([
    ...[
      '/v1/hashes/',
      '/v1/hashes//field',
      '/v1/hashes',
      '/v1/hashes/key/field?x',
      '/v1/lists/?start=0',
      '/v1/keys/key?x',
    ],
    ...['/v1/streams/key', '/v1/lists/key?a#b', '/v1/lists/key?start=\xe9', '/V1/lists/key', '/v1/list/key'],
  ])('leaves %s to node:http', (target) => {
    expect(parse(target)).toBeUndefined();
  });
});
