import { ReplyError } from 'ioredis';
import type { RedisFailure } from './redis-reply.ts';

/** What an error of ioredis says of a command. */
export function failureOf(error: unknown): RedisFailure | { readonly kind: 'wrong-type' } {
  if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) return { kind: 'wrong-type' };
  if (error instanceof Error && error.message === 'Command timed out') return { kind: 'timeout' };
  return { kind: 'unavailable', reason: reasonOf(error) };
}

/** A word that says what was wrong and holds nothing of the request. */
export function reasonOf(error: unknown): string {
  if (error instanceof ReplyError) {
    const { message, command } = error as Error & { readonly command?: { readonly name: string } };
    const code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    return command?.name === 'select' ? `SELECT: ${code}` : code;
  }
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'connection';
}
