import { expect, it } from '@jest/globals';
import { OPEN_ACCESS } from '../access/access.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Query } from '../redis/query.ts';
import type { ReadOptions } from '../cache/read-through/read-through.ts';
import type { ReadOutcomeName, Transport } from '../instance/read-metrics.ts';
import { KEY_COMMANDS } from './key-command-table.ts';
import { KeyReads } from './key-reads.ts';
import { ReadPlan } from './read-plan.ts';

it.each([
  ['get', ['a']],
  ['mget', ['a', 'b']],
])('%s counts its reads once, although discarded values are read again', async (name, keys) => {
  const counted: ReadOutcomeName[] = [];
  const repeated: (boolean | undefined)[] = [];
  const outcome = { kind: 'value', origin: 'not-stored', value: Buffer.from('v') } as const;
  const cache = {
    read: (_query: Query, _directives: undefined, { alreadyCounted }: ReadOptions) => {
      repeated.push(alreadyCounted);
      return Promise.resolve(outcome);
    },
    readMany: (all: readonly Query[], _maxBytes: number, { alreadyCounted }: ReadOptions) => {
      repeated.push(alreadyCounted);
      return Promise.resolve(all.map(() => outcome));
    },
  } as unknown as CacheService;
  const counter = { countRead: (_transport: Transport, each: ReadOutcomeName) => void counted.push(each) };
  const plan = new ReadPlan(cache, new KeyReads('resp', OPEN_ACCESS, counter), 1000);
  const command = KEY_COMMANDS.find((each) => each.name === name);
  if (command === undefined) throw new Error(name);
  plan.add(
    command,
    keys.map((key) => Buffer.from(key)),
  );
  await plan.read();
  plan.discardValues();
  await plan.readAgain();
  expect([plan.values.length, counted.length]).toEqual([keys.length, keys.length]);
  expect(repeated).toEqual([false, true]);
});
