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
  'EPIPE',
  'ETIMEDOUT',
]);

/** Whether an error of a socket is a fault of the proxy or of Node.js, rather than the client's or the network's. */
export function isFault({ code }: NodeJS.ErrnoException): boolean {
  if (code === undefined) return true;
  // Errors of node:http for malformed or slow requests.
  return !LOST_CONNECTION_CODES.has(code) && !code.startsWith('HPE_') && !code.startsWith('ERR_HTTP_');
}
