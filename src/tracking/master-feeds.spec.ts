import { expect, it } from '@jest/globals';
import { MasterFeeds } from './master-feeds.ts';

it('maintains one feed per master and adds the feed of a successor before it removes the old one', () => {
  const done: string[] = [];
  const names = new Map<object, string>();
  const feeds = new MasterFeeds(
    {
      add: (feed) => done.push(`+${names.get(feed)}`),
      remove: (feed) => done.push(`-${names.get(feed)}`),
    },
    ({ identity }) => {
      const feed = { start: () => undefined, stop: () => undefined };
      names.set(feed, identity);
      return feed;
    },
  );
  const follow = (...masters: string[]): string[] => {
    feeds.follow(masters.map((identity) => ({ name: 'host:1', identity, nodeId: '', options: {} })));
    return done.splice(0);
  };
  expect(follow()).toEqual([]);
  expect(follow('a', 'b')).toEqual(['+a', '+b']);
  expect(follow('b', 'a')).toEqual([]);
  expect(follow('a', 'c')).toEqual(['+c', '-b']);
  expect(follow('a', 'b')).toEqual(['+b', '-c']);
});
