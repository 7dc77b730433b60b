import { resourceQuery } from '../http/resources/resource.ts';
import { replyQuery } from '../redis-commands/key-command-table.ts';
import { Query, parseSelector } from '../redis/query.ts';
import type { WarmupEntry } from './warmup-file.ts';

/**
 * Returns the query of an entry. Undefined if clients cannot send it: it comes from a file, and only commands that read, in the
 * form in which they are cached, may be sent to Redis.
 */
export function queryOfEntry({ key, selector }: WarmupEntry): Query | undefined {
  if (selector.length === 0) return Query.get(key);
  const parsed = parseSelector(selector);
  if (parsed === undefined) return undefined;
  const { command, formId } = parsed;
  const query = formId === 0 ? replyQuery(key, command) : resourceQuery(key, command, formId);
  // Another encoding of the same command would be an entry that no read finds.
  return query?.id.subarray(key.length).equals(selector) === true ? query : undefined;
}
