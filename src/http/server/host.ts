import { isIPv6 } from 'node:net';

/** RFC 3986, section 3.2.2, less the comma: proxies join two Host headers with one. */
const HOST = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::\d*)?$/;

/** Whether this is a host with or without a port, as a Host header of an `http` request must have it (RFC 9110, section 7.2). */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && (match[1] === undefined || isIPv6(match[1]));
}
