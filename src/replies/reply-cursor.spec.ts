import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ARRAY, BULK, ERROR, INTEGER, ReplyCursor, SIMPLE } from './reply-cursor.ts';

/** A reply as the cursor reports it: simple strings, errors and integers keep their text. */
type Model =
  | { readonly type: 'bulk'; readonly text: Buffer | null }
  | { readonly type: 'line'; readonly first: '+' | '-' | ':'; readonly text: string }
  | { readonly type: 'array'; readonly elements: readonly Model[] | null };

const { reply: anyReply } = fc.letrec<{ reply: Model }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 4 },
    fc.record({ type: fc.constant('bulk' as const), text: fc.option(bytes()) }),
    fc.record({ type: fc.constant('line' as const), first: fc.constant('+' as const), text: line() }),
    fc.record({ type: fc.constant('line' as const), first: fc.constant('-' as const), text: line() }),
    fc.record({ type: fc.constant('line' as const), first: fc.constant(':' as const), text: fc.integer().map(String) }),
    fc.record({ type: fc.constant('array' as const), elements: fc.option(fc.array(tie('reply'), { maxLength: 5 })) }),
  ),
}));

function bytes(): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each));
}

function line(): fc.Arbitrary<string> {
  return fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^ -~]/g, '.'));
}

function encode(model: Model): Buffer {
  switch (model.type) {
    case 'line':
      return Buffer.from(`${model.first}${model.text}\r\n`);
    case 'bulk':
      if (model.text === null) return Buffer.from('$-1\r\n');
      return Buffer.concat([Buffer.from(`$${model.text.length}\r\n`), model.text, Buffer.from('\r\n')]);
    case 'array':
      if (model.elements === null) return Buffer.from('*-1\r\n');
      return Buffer.concat([Buffer.from(`*${model.elements.length}\r\n`), ...model.elements.map(encode)]);
  }
}

const TYPES = { '+': SIMPLE, '-': ERROR, ':': INTEGER } as const;

function expectAt(cursor: ReplyCursor, model: Model): void {
  cursor.next();
  switch (model.type) {
    case 'line':
      expect([cursor.type, cursor.length, cursor.value().toString()]).toEqual([
        TYPES[model.first],
        model.text.length,
        model.text,
      ]);
      return;
    case 'bulk':
      expect([cursor.type, cursor.isNull, cursor.length]).toEqual([
        BULK,
        model.text === null,
        model.text?.length ?? -1,
      ]);
      expect(cursor.value()).toEqual(model.text ?? Buffer.alloc(0));
      return;
    case 'array':
      expect([cursor.type, cursor.isNull, cursor.length]).toEqual([
        ARRAY,
        model.elements === null,
        model.elements?.length ?? -1,
      ]);
      for (const element of model.elements ?? []) expectAt(cursor, element);
  }
}

describe('ReplyCursor', () => {
  it('reports every element of a reply, nested ones included, and its end', () => {
    fc.assert(
      fc.property(anyReply, bytes(), (model, before) => {
        const reply = Buffer.concat([before, encode(model)]);
        const cursor = new ReplyCursor();
        cursor.start(reply, before.length);
        expectAt(cursor, model);
        expect(cursor.at).toBe(reply.length);
      }),
    );
  });

  it('skips an array with everything in it', () => {
    fc.assert(
      fc.property(anyReply, (model) => {
        const reply = encode(model);
        const cursor = new ReplyCursor();
        cursor.start(reply);
        cursor.next();
        cursor.skip();
        expect(cursor.at).toBe(reply.length);
      }),
    );
  });
});
