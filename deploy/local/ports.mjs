import { once } from 'node:events';
import { connect } from 'node:net';
// Built before this script runs.
import { freePort } from '../../build/runtime/ports/free-port.js';

/** Returns a free port on 127.0.0.1. */
export async function anyFreePort() {
  const { port } = await freePort('127.0.0.1', 0, false);
  return port;
}

/** Returns whether a server accepts connections at an address; false if the address is invalid. */
export async function isTaken(host, port) {
  if (!(port > 0 && port < 65536)) return false;
  const socket = connect({ host, port, timeout: 1000 });
  socket.on('timeout', () => socket.destroy(new Error('timeout')));
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Returns the first free port after `port` that is not in `others`; 0, which means any, if there is none. */
export async function nextFreePort(host, port, others) {
  for (let next = port + 1; next < 65536; next++) {
    if (!others.includes(next) && !(await isTaken(host, next))) return next;
  }
  return 0;
}
