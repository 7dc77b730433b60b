/** Error codes for a lost client or network. */
const LOST_CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECANCELED',
  'ECONNABORTED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTCONN',
  // A direct write that could not be started, as over TLS to a client that has reset the connection.
  'EOF',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Errors of node:http for malformed or slow requests, and of OpenSSL for malformed records and alerts. */
const CLIENT_ERRORS = ['HPE_', 'ERR_HTTP_', 'ERR_SSL_', 'EPROTO'];

/** Whether an error of a socket is a fault of the proxy or of Node.js, rather than the client's or the network's. */
export function isFault({ code }: NodeJS.ErrnoException): boolean {
  if (code === undefined) return true;
  return !LOST_CONNECTION_CODES.has(code) && !CLIENT_ERRORS.some((prefix) => code.startsWith(prefix));
}
