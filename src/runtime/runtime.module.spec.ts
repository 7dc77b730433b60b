import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { RespSocket } from '../../test/support/resp.ts';
import { loadSettings } from '../config/load-settings.ts';
import { packSettings } from '../config/settings-transfer.ts';
import { RedisStub, createModuleApp } from '../http/module-app.spec-support.ts';
import { ReadMetrics } from '../instance/read-metrics.ts';
import { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { freePort } from './ports/free-port.ts';
import { RuntimeModule } from './runtime.module.ts';
import { SupervisorChannel } from './supervisor-channel.ts';

const HOST = '127.0.0.1';
const WITH_TOKEN = { ACCESS_TOKEN: 'reader' };

describe('RuntimeModule', () => {
  let app: NestExpressApplication;
  let redis: RedisStub;
  let isRedisClosed: boolean;
  let url: string;
  let client: RespSocket;
  let respPort: number;
  beforeEach(async () => {
    const [http, resp] = [await freePort(HOST, 0, false), await freePort(HOST, 0, false)].map(({ port }) => port);
    const settings = loadSettings(WITH_TOKEN, '/nowhere');
    redis = new RedisStub();
    isRedisClosed = false;
    redis.close = () => void (isRedisClosed = true);
    const module = RuntimeModule.forRoot(settings, { http, resp, ops: undefined, shared: false });
    app = await createModuleApp(module, { ...WITH_TOKEN, HTTP_HOST: HOST }, redis);
    url = `http://${HOST}:${http}`;
    respPort = resp;
    client = await RespSocket.open(resp);
  });
  afterEach(async () => {
    client.socket.destroy();
    await app.close();
  });

  const get = (token: string) => request(url).get('/v1/keys/some').set('Authorization', `Bearer ${token}`);

  it('listens for both protocols once it is initialised, on one cache', async () => {
    await get('reader').expect(200, Buffer.from('value'));
    await client.send('AUTH reader\r\nGET some\r\n').expect('+OK\r\n$5\r\nvalue\r\n');
    const metrics = app.get(ReadMetrics);
    expect([metrics.reads('http', 'miss'), metrics.reads('resp', 'hit')]).toEqual([1, 1]);
  });

  it('requires the access token on both protocols', async () => {
    await request(url).get('/v1/keys/some').expect(401);
    expect(await client.send('GET some\r\n').replies(1)).toMatch(/^-NOAUTH /);
  });

  it('counts the commands that the Redis protocol refuses', async () => {
    expect(await client.send('AUTH reader\r\nSET some other\r\n').replies(2)).toMatch(/^\+OK\r\n-READONLY /);
    expect(app.get(RefusedCommands).all()).toContainEqual({ transport: 'resp', command: 'set', times: 1 });
  });

  it('replaces the tokens that the supervisor sends, and closes connections with a revoked one', async () => {
    await client.send('AUTH reader\r\n').expect('+OK\r\n');
    const settings = packSettings(loadSettings({ ACCESS_TOKEN: 'successor' }, '/nowhere'));
    app.get(SupervisorChannel).receive({ kind: 'settings', settings });
    await client.closed;
    await get('reader').expect(401);
    await get('successor').expect(200);
  });

  it('closes its listeners when the application closes without a supervisor', async () => {
    client.socket.destroy();
    await app.close();
    await expect(get('reader')).rejects.toThrow('ECONNREFUSED');
    await expect(RespSocket.open(respPort)).rejects.toThrow('ECONNREFUSED');
  });

  it('accepts no connections after the supervisor has stopped it, and closes Redis when the application closes', async () => {
    app.get(SupervisorChannel).receive('stop');
    await expect(get('reader')).rejects.toThrow('ECONNREFUSED');
    await expect(RespSocket.open(respPort)).rejects.toThrow('ECONNREFUSED');
    expect(isRedisClosed).toBe(false);
    await app.close();
    expect(isRedisClosed).toBe(true);
  });
});
