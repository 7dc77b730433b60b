import { ReplyError } from 'ioredis';
import { redirectIn } from './cluster/redirect.ts';
import type { RedisFailure } from './redis-reply.ts';

/** Errors by which a Redis says that it cannot answer anybody just now. */
const ABOUT_ANY_READ: ReadonlySet<string> = new Set(['LOADING', 'BUSY', 'MASTERDOWN', 'CLUSTERDOWN']);

/** Of Redis 6, and of Redis 7 and Valkey. */
const COMMAND_NOT_PERMITTED = /^NOPERM .*no permissions to run the '([\w|.-]{1,64})' command/i;

const UNKNOWN_AUTHORITY = 'its certificate is of an unknown authority';

/** What is wrong between two that speak TLS. */
const WORDS_FOR: Readonly<Partial<Record<string, string>>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate of the proxy',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
};

/** What an error of ioredis says of a command. */
export function failureOf(error: unknown): RedisFailure | { readonly kind: 'wrong-type' } {
  if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) return { kind: 'wrong-type' };
  if (error instanceof Error && error.message === 'Command timed out') return { kind: 'timeout' };
  const reason = reasonOf(error);
  if (!(error instanceof ReplyError)) return { kind: 'unavailable', reason };
  const redirect = redirectIn((error as Error).message);
  if (redirect !== undefined) return { kind: 'unavailable', reason, refusal: 'this', redirect };
  const refusal = ABOUT_ANY_READ.has(reason) ? 'any' : 'this';
  const missingRight = missingRightIn(error);
  return { kind: 'unavailable', reason, refusal, ...(missingRight === undefined ? {} : { missingRight }) };
}

/**
 * Returns the right that an account lacks to run a command, as ACL SETUSER takes it: `+pttl`, `+client|tracking`. Undefined
 * for other errors, that a key must not be accessed included: the account may access others.
 */
export function missingRightIn(error: unknown): string | undefined {
  if (!(error instanceof ReplyError)) return undefined;
  const [, command] = COMMAND_NOT_PERMITTED.exec((error as Error).message) ?? [];
  return command === undefined ? undefined : `+${command}`;
}

/** A word that says what was wrong and holds nothing of the request. */
export function reasonOf(error: unknown): string {
  if (error instanceof ReplyError) {
    const { message, command } = error as Error & { readonly command?: { readonly name: string } };
    const code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    return command?.name === 'select' ? `SELECT: ${code}` : code;
  }
  const { code, message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (code === undefined) return sentinelReason(message) ?? 'connection';
  const words = WORDS_FOR[code];
  return words === undefined ? code : `${code}: ${words}`;
}

/** What ioredis says when it has asked all sentinels in vain, in a few words. */
function sentinelReason(message: string): string | undefined {
  if (!message.startsWith('All sentinels are unreachable')) return undefined;
  const [, last] = / Last error: (.*)$/.exec(message) ?? [];
  if (last === undefined || /No such master/.test(last)) return 'no sentinel knows the master';
  const word = /\b[A-Z][A-Z\d_]{3,}\b/.exec(last)?.[0];
  return word === undefined ? 'no sentinel answers' : `sentinels: ${word}`;
}
