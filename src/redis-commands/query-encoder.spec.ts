import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_ID_BYTES, MAX_SELECTOR_BYTES } from '../cache/shared-lru/memory/layout.ts';
import { KEY_COMMANDS } from './key-command-table.ts';
import { QueryEncoder, type QuerySyntax } from './query-encoder.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

function syntaxOf(name: string): QuerySyntax {
  const command = KEY_COMMANDS.find((each) => each.name === name);
  if (command?.returns !== 'reply') throw new Error(`${name} is not a query`);
  return command.syntax;
}

function parse(command: string): readonly [canonical: string, shape: string] {
  const [name, ...args] = command.split(' ');
  const { args: canonical, shape } = syntaxOf(name).parse(args.map(bytes));
  return [canonical.join(' '), shape];
}

describe('QuerySyntax', () => {
  it.each([
    ['zrange k 0 -1 withscores', 'k 0 -1 WITHSCORES', 'scored'],
    ['zrange k rev limit rev', 'k rev limit REV', 'same'],
    ['zrange k 0 1 byscore limit rev withscores', 'k 0 1 BYSCORE LIMIT rev withscores', 'same'],
    ['zrange k 0 1 none withscores', 'k 0 1 none withscores', 'same'],
    ['geosearch k frommember asc byradius 1 km asc', 'k FROMMEMBER asc BYRADIUS 1 km ASC', 'same'],
    ['geosearch k frommember withcoord byradius 1 km', 'k FROMMEMBER withcoord BYRADIUS 1 km', 'same'],
    ['geosearch k fromlonlat 1 2 bybox 1 2 m withcoord', 'k FROMLONLAT 1 2 BYBOX 1 2 m WITHCOORD', 'located'],
    ['lpos k rank rank 1', 'k rank RANK 1', 'same'],
    ['zrank k withscore', 'k withscore', 'same'],
    ['zrank k m withscore', 'k m WITHSCORE', 'doubles'],
    ['bitcount k 0 1 bit', 'k 0 1 BIT', 'same'],
    ['bitpos k 1 0 9 byte', 'k 1 0 9 BYTE', 'same'],
    // Paths are data, also those that look like options.
    ['json.get k indent space $.a space', 'k INDENT space $.a space', 'same'],
    ['json.get k format', 'k format', 'same'],
    ['hget k withscores', 'k withscores', 'same'],
  ])('parses %s', (command, canonical, shape) => {
    expect(parse(command)).toEqual([canonical, shape]);
  });
});

describe('QueryEncoder', () => {
  const encoder = new QueryEncoder();
  const argument = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each)),
    fc.integer({ min: 0, max: 20_000 }).map((length) => Buffer.alloc(length, 'a')),
  );

  it('encodes the same id as a query has, unless it is too long for an entry', () => {
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 6 }), (args) => {
        const syntax = syntaxOf('hmget');
        const { id, selectorLength } = syntax.query(args);
        const isEncoded = encoder.encode(syntax, args);
        // A few bytes less than the maximum are not encoded.
        const fits = id.length + 2 <= MAX_ID_BYTES && selectorLength + 2 <= MAX_SELECTOR_BYTES;
        if (fits) expect(isEncoded).toBe(true);
        if (!isEncoded) return;
        expect([encoder.length, encoder.selectorLength]).toEqual([id.length, selectorLength]);
        expect(encoder.bytes.subarray(0, encoder.length)).toEqual(id);
      }),
    );
  });

  it('rejects a key that leaves no room for the selector', () => {
    expect(encoder.encode(syntaxOf('hgetall'), [Buffer.alloc(MAX_ID_BYTES)])).toBe(false);
  });
});
