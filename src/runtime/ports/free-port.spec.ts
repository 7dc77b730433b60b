import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { freePort } from './free-port.ts';

async function listen(port: number, how: { reusePort?: boolean; exclusive?: boolean }): Promise<Server> {
  const server = createServer().listen({ host: '127.0.0.1', port, ...how });
  await once(server, 'listening');
  return server;
}

describe('freePort', () => {
  it('reserves a free port for listeners that share it, and for no others, until it is released', async () => {
    const { port, release } = await freePort('127.0.0.1', 0);
    await expect(listen(port, { exclusive: true })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const thread = await listen(port, { reusePort: true });
    release();
    thread.close();
    await once(thread, 'close');
  });

  it('finds a free port also where none can be shared', async () => {
    const { port } = await freePort('127.0.0.1', 0, false);
    const thread = await listen(port, { exclusive: true });
    thread.close();
    await once(thread, 'close');
  });

  it('leaves a port that was asked for as it is, if nobody listens on it', async () => {
    const { port, release } = await freePort('127.0.0.1', 0);
    await expect(freePort('127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    release();
    const again = await freePort('127.0.0.1', port);
    expect(again.port).toBe(port);
    const other = await listen(port, { exclusive: true });
    again.release();
    other.close();
    await once(other, 'close');
  });
});
