import { ReplyError } from 'ioredis';
import { redirectIn } from './cluster/redirect.ts';
import type { RedisFailure, RedisReply } from './redis-reply.ts';

/** Codes of errors that concern every command, not the one that was sent. */
const SERVER_WIDE_ERRORS: ReadonlySet<string> = new Set(['LOADING', 'BUSY', 'MASTERDOWN', 'CLUSTERDOWN']);

/** Codes of errors that concern the account, the cluster or the state of the server, in addition to those above. */
const UNAVAILABLE_ERRORS: ReadonlySet<string> = new Set([
  ...SERVER_WIDE_ERRORS,
  ...['NOPERM', 'NOAUTH', 'WRONGPASS', 'DENIED'],
  ...['MOVED', 'ASK', 'TRYAGAIN', 'CROSSSLOT', 'REDIRECT'],
  ...['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'UNBLOCKED', 'IOERR'],
]);

/** Matches the messages of Redis 6, Redis 7 and Valkey. */
const COMMAND_NOT_PERMITTED = /^NOPERM .*no permissions to run the '([\w|.-]{1,64})' command/i;

const UNKNOWN_AUTHORITY = 'certificate signed by an unknown authority';

/** Explanations of TLS error codes. */
const TLS_ERROR_MESSAGES: Readonly<Partial<Record<string, string>>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate is valid for another host name',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not valid yet',
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'client certificate required',
  ERR_SSL_WRONG_VERSION_NUMBER: 'server does not use TLS',
};

/** Converts an error of ioredis for a command to a reply. */
export function failureOf(error: unknown): RedisFailure | { readonly kind: 'wrong-type' } {
  if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) return { kind: 'wrong-type' };
  if (error instanceof Error && error.message === 'Command timed out') return { kind: 'timeout' };
  const reason = errorCode(error);
  if (!(error instanceof ReplyError)) return { kind: 'unavailable', reason };
  const redirect = redirectIn((error as Error).message);
  if (redirect !== undefined) return { kind: 'unavailable', reason, scope: 'command', redirect };
  const scope = SERVER_WIDE_ERRORS.has(reason) ? 'server' : 'command';
  const missingPermission = missingPermissionIn(error);
  return { kind: 'unavailable', reason, scope, ...(missingPermission === undefined ? {} : { missingPermission }) };
}

/** Converts an error of ioredis for a query other than GET to a reply: an error reply unless it concerns Redis, not the query. */
export function queryErrorOf(error: Error): RedisReply {
  const isFailure = !(error instanceof ReplyError) || UNAVAILABLE_ERRORS.has(errorCode(error));
  return isFailure ? failureOf(error) : { kind: 'error-reply', message: error.message };
}

/**
 * Returns the missing permission to run a command in the syntax of ACL SETUSER: `+pttl`, `+client|tracking`. Undefined for
 * other errors, including a refused key: the account may access other keys.
 */
export function missingPermissionIn(error: unknown): string | undefined {
  if (!(error instanceof ReplyError)) return undefined;
  const [, command] = COMMAND_NOT_PERMITTED.exec((error as Error).message) ?? [];
  return command === undefined ? undefined : `+${command}`;
}

/** Returns a code for an error, without any content of the request. */
export function errorCode(error: unknown): string {
  if (error instanceof ReplyError) {
    const { message, command } = error as Error & { readonly command?: { readonly name: string } };
    const code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    const name = command?.name.toUpperCase() ?? '';
    if (name === 'SELECT' || name === 'READONLY') return `${name}: ${code}`;
    // Neither the reply of Redis 5 to a wrong password nor that of a Redis that is not a cluster has a code of its own.
    return (name === 'AUTH' || name === 'CLUSTER') && code === 'ERR' ? `${name}: ERR` : code;
  }
  const { code, message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (code === undefined) return sentinelReason(message) ?? 'connection';
  const explanation = TLS_ERROR_MESSAGES[code];
  return explanation === undefined ? code : `${code}: ${explanation}`;
}

/** Summarises the error of ioredis after all sentinels failed. */
function sentinelReason(message: string): string | undefined {
  if (!message.startsWith('All sentinels are unreachable')) return undefined;
  const [, last] = / Last error: (.*)$/.exec(message) ?? [];
  if (last === undefined || /No such master/.test(last)) return 'no sentinel knows the master';
  const word = /\b[A-Z][A-Z\d_]{3,}\b/.exec(last)?.[0];
  return word === undefined ? 'no sentinel is reachable' : `sentinels: ${word}`;
}
