import { ReplyError } from 'ioredis';
import { redirectIn } from './redirect.ts';
import type { RedisFailure } from './redis-reply.ts';

/** Errors by which a Redis says that it cannot answer anybody just now. */
const ABOUT_ANY_READ: ReadonlySet<string> = new Set(['LOADING', 'BUSY', 'MASTERDOWN', 'CLUSTERDOWN']);

/** What an error of ioredis says of a command. */
export function failureOf(error: unknown): RedisFailure | { readonly kind: 'wrong-type' } {
  if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) return { kind: 'wrong-type' };
  if (error instanceof Error && error.message === 'Command timed out') return { kind: 'timeout' };
  const reason = reasonOf(error);
  if (!(error instanceof ReplyError)) return { kind: 'unavailable', reason };
  const redirect = redirectIn((error as Error).message);
  if (redirect !== undefined) return { kind: 'unavailable', reason, refusal: 'this', redirect };
  return { kind: 'unavailable', reason, refusal: ABOUT_ANY_READ.has(reason) ? 'any' : 'this' };
}

/** A word that says what was wrong and holds nothing of the request. */
export function reasonOf(error: unknown): string {
  if (error instanceof ReplyError) {
    const { message, command } = error as Error & { readonly command?: { readonly name: string } };
    const code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    return command?.name === 'select' ? `SELECT: ${code}` : code;
  }
  const { code, message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return code ?? sentinelReason(message) ?? 'connection';
}

/** What ioredis says when it has asked all sentinels in vain, in a few words. */
function sentinelReason(message: string): string | undefined {
  if (!message.startsWith('All sentinels are unreachable')) return undefined;
  const [, last] = / Last error: (.*)$/.exec(message) ?? [];
  if (last === undefined || /No such master/.test(last)) return 'no sentinel knows the master';
  const word = /\b[A-Z][A-Z\d_]{3,}\b/.exec(last)?.[0];
  return word === undefined ? 'no sentinel answers' : `sentinels: ${word}`;
}
