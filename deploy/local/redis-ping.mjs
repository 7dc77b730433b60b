import { connect } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { URL } from 'node:url';

const TIMEOUT_MS = 1000;

/**
 * Sends PING to an address without a client library, since libraries send other commands first, whose errors differ.
 *
 * @param {string} url redis://host:port, without an account
 * @param {number} timeoutMs milliseconds to wait for the reply
 * @returns {Promise<'pong' | 'absent' | { problem: string }>} absent: connections are refused; a
 *   problem: the reason why the server there cannot be used
 */
export function ping(url, timeoutMs = TIMEOUT_MS) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let isConnected = false;
    let reply = '';
    const settle = (outcome) => {
      clearTimeout(timeout);
      socket.destroy();
      resolve(outcome);
    };
    const silent = () => settle(isConnected ? { problem: 'no reply to PING' } : 'absent');
    const timeout = setTimeout(silent, timeoutMs);
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      isConnected = true;
      socket.write('PING\r\n');
    });
    socket.on('data', (text) => {
      reply += text;
      if (reply.includes('\n')) settle(outcomeOf(reply.slice(0, reply.indexOf('\n')).trim()));
    });
    socket.on('error', silent);
    socket.on('close', silent);
  });
}

function outcomeOf(reply) {
  if (reply === '+PONG') return 'pong';
  if (/^-NOAUTH\b/.test(reply)) return { problem: 'it requires a password' };
  return { problem: reply.startsWith('-') ? `error: ${reply.slice(1)}` : 'no reply to PING' };
}
