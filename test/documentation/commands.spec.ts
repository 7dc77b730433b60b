import { expect, it } from '@jest/globals';
import { KEY_COMMANDS } from '../../src/redis-commands/key-command-table.ts';
import { Page } from './markdown.ts';

/** Groups of commands by the type that the page names. */
const GROUPS: Readonly<Record<string, string>> = {
  'sorted set': 'sorted-set',
  'geospatial index': 'geo',
  'JSON document': 'module',
  any: 'generic',
  'any, not cached': 'generic',
};

it('docs/redis-protocol.md lists exactly the commands that read keys, by type', () => {
  const documented = new Page('docs/redis-protocol.md').rows('type').flatMap(([type, commands]) =>
    commands
      .replaceAll(/ \([^)]*\)/g, '')
      .split(', ')
      .map((name) => [name.toLowerCase(), GROUPS[type] ?? type, type === 'any, not cached']),
  );
  const expected = KEY_COMMANDS.map(({ name, group, returns }) => [name, group, returns === 'ttl']);
  expect(documented.sort()).toEqual(expected.sort());
});
