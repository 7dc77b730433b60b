import { connect } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { URL } from 'node:url';

const PATIENCE_MS = 1000;

/**
 * Sends PING to an address, without a client library: those greet first, and what a Redis refuses differs by what it is
 * greeted with.
 *
 * @param {string} url redis://host:port, without an account
 * @returns {Promise<'pong' | 'absent' | { problem: string }>} absent: nobody accepts connections there; a problem:
 *   somebody does, and this is why it cannot be used
 */
export function ping(url) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let isConnected = false;
    let reply = '';
    const settle = (outcome) => {
      clearTimeout(impatience);
      socket.destroy();
      resolve(outcome);
    };
    const silent = () => settle(isConnected ? { problem: 'it does not answer PING' } : 'absent');
    const impatience = setTimeout(silent, PATIENCE_MS);
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
  if (/^-NOAUTH\b/.test(reply)) return { problem: 'it wants a password' };
  return { problem: reply.startsWith('-') ? `it says: ${reply.slice(1)}` : 'it does not answer PING' };
}
