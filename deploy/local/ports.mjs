import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** A port on 127.0.0.1 that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether somebody accepts connections there; false for an address that is none. */
export async function isTaken(host, port) {
  if (!(port > 0 && port < 65536)) return false;
  const socket = connect({ host, port, timeout: 1000 });
  socket.on('timeout', () => socket.destroy(new Error('nobody answers')));
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The first port after this one that nobody listens on and that is none of `others`; 0, which means any, behind the last. */
export async function nextFreePort(host, port, others) {
  for (let next = port + 1; next < 65536; next++) {
    if (!others.includes(next) && !(await isTaken(host, next))) return next;
  }
  return 0;
}
