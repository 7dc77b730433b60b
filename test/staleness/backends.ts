import { Redis } from 'ioredis';
import { until } from '../support/processes.ts';
import type { Settings, TestProxy } from '../support/proxy.ts';
import { RedisRelay, type Purpose } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';
import { TestSentinels, type TestServer, untilReplicating } from '../support/sentinels.ts';

/** A fault of the proxy's connections or servers; resolves once it is over. */
export type Fault = (proxy: TestProxy) => void | Promise<void>;

/** The Redis behind the proxy, and the faults that are injected. */
export interface Backend {
  readonly settings: Settings;
  readonly faults: readonly Fault[];
  /** Writes; resolves once every server that the proxy may read has the write. */
  write(write: (client: Redis) => Promise<unknown>): Promise<void>;
  stop(): Promise<void>;
}

const repeat = (times: number, fault: Fault): Fault[] => Array.from({ length: times }, () => fault);

/** A single Redis, whose connections are reset or stalled. */
export async function singleRedis(): Promise<Backend> {
  const redis = await TestRedis.start();
  const relay = await RedisRelay.to(redis.port);
  const client = new Redis(redis.url);
  const reset = (purpose: Purpose): Fault => () => void relay.reset(purpose); // prettier-ignore
  return {
    settings: { REDIS_URL: relay.url },
    // A held connection is stalled without being closed: only unanswered PINGs reveal it.
    faults: [...repeat(6, reset('feed')), ...repeat(4, reset('data')), ...repeat(2, () => void relay.hold('feed'))],
    write: async (write) => void (await write(client)),
    stop: async () => {
      client.disconnect();
      await relay.stop();
      await redis.stop();
    },
  };
}

/** Milliseconds for which a killed replica is away. */
const AWAY_MS = 1500;

/**
 * A master and two replicas with sentinels, whose connections are closed; the replica that is read is killed and started again,
 * and the sentinels promote replicas.
 */
export async function replicas(): Promise<Backend> {
  const redis = await TestSentinels.start({ replicas: 2 });
  let servers = [redis.master, ...redis.replicas];
  let master = redis.master;
  let alive = 2;
  const isMaster = async ({ client }: TestServer): Promise<boolean> =>
    client.status === 'ready' && (await client.info('replication')).includes('role:master');
  const killConnections: Fault = async () => {
    for (const { client, server } of servers) {
      if (server.running) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
    }
  };
  const killReplica: Fault = async (proxy) => {
    const lines = proxy.log().map(({ message }) => /from replica 127\.0\.0\.1:(\d+)/.exec(String(message)));
    const port = Number(lines.findLast((line) => line !== null)?.[1]);
    const replica = servers.find((server) => server.port === port);
    if (replica === undefined || (await isMaster(replica))) return;
    alive = 1;
    replica.server.signal('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    replica.client.disconnect();
    const restarted = await redis.restart(replica);
    servers = servers.map((server) => (server === replica ? restarted : server));
    await untilReplicating(restarted);
    alive = 2;
  };
  const failOver: Fault = async () => {
    const former = master;
    await redis.failOver();
    master = await until('another server is the master', async () => {
      for (const server of servers) if (server !== former && (await isMaster(server))) return server;
      return undefined;
    });
    await until('the others follow', async () => {
      const info = await master.client.info('replication');
      return info.includes('connected_slaves:2') || undefined;
    });
  };
  return {
    settings: {
      REDIS_MODE: 'sentinel',
      REDIS_SENTINEL_NAME: redis.name,
      REDIS_NODES: redis.addresses,
      REDIS_READ_FROM: 'prefer-replica',
    },
    faults: [...repeat(4, killConnections), ...repeat(2, killReplica), ...repeat(2, failOver)],
    write: (write) =>
      until('the replicas have the write', async () => {
        const { client } = master;
        try {
          await write(client);
          return Number(await client.wait(alive, 1000)) >= alive || undefined;
        } catch {
          // The server is a replica now.
          return undefined;
        }
      }).then(() => undefined),
    stop: () => redis.stop(),
  };
}
