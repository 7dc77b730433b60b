import { isIPv6 } from 'node:net';

/** RFC 3986, section 3.2.2, without the comma, with which proxies join two Host headers. */
const HOST = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::\d*)?$/;

/** Whether a text is valid in a Host header: a host with an optional port (RFC 9110, section 7.2). */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && (match[1] === undefined || isIPv6(match[1]));
}
