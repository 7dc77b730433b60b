import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { MutualTls } from './certificates.ts';
import { Child, freePort, until } from './processes.ts';
import { redisClient } from './redis-client.ts';

/** Milliseconds without a reply after which sentinels take a server for down, while they detect failures. */
const DOWN_AFTER_MS = 500;
/** The same otherwise: a busy machine may suspend a server for seconds. */
const PATIENT_DOWN_AFTER_MS = 60_000;
/** Milliseconds between the questions of sentinels to servers, and between what they tell each other, until they know all. */
const FIRST_PERIODS = ['info-period', '100', 'publish-period', '100'];
const DEFAULT_PERIODS = ['info-period', '10000', 'publish-period', '2000'];

/** A redis-server that the test has started, with a client. */
export interface TestServer {
  readonly port: number;
  readonly address: string;
  readonly client: Redis;
  readonly server: Child;
  readonly args: readonly string[];
}

/** A real master, replicas of it, and three sentinels that watch them. */
export class TestSentinels {
  /** Name of the master at the sentinels, as for REDIS_SENTINEL_NAME. */
  readonly name = 'main';
  /** Master at the start. */
  readonly master: TestServer;
  readonly replicas: readonly TestServer[];
  readonly sentinels: readonly TestServer[];
  readonly #directory: string;
  readonly #restarted: TestServer[] = [];
  /** Whether a sentinel has reported another master. */
  #hasSwitched = false;

  private constructor(servers: readonly TestServer[], replicas: number, directory: string) {
    const [master, ...others] = servers;
    this.master = master;
    this.replicas = others.slice(0, replicas);
    this.sentinels = others.slice(replicas);
    this.#directory = directory;
  }

  /** The first replica. */
  get replica(): TestServer {
    return this.replicas[0];
  }

  /**
   * @param password password of the sentinels.
   * @param args further arguments of the replicas.
   */
  static async start({
    password,
    tls,
    replicas = 1,
    args = [],
  }: { password?: string; tls?: MutualTls; replicas?: number; args?: readonly string[] } = {}): Promise<TestSentinels> {
    const directory = mkdtempSync(join(tmpdir(), 'test-sentinels-'));
    const servers: TestServer[] = [];
    try {
      servers.push(await startRedis(directory, [], tls));
      const { port } = servers[0];
      const replicaOf = ['--replicaof', `127.0.0.1 ${port}`, ...args];
      for (let i = 0; i < replicas; i++) servers.push(await startRedis(directory, replicaOf, tls));
      for (let i = 0; i < 3; i++) servers.push(await startSentinel(directory, port, password, tls));
      const test = new TestSentinels(servers, replicas, directory);
      await test.#settle();
      return test;
    } catch (error) {
      await stopAll(servers, directory);
      throw error;
    }
  }

  /** Value of REDIS_NODES. */
  get addresses(): string {
    return this.sentinels.map(({ address }) => address).join(',');
  }

  /** Lets the sentinels promote a replica soon after the master has stopped to reply. */
  async detectFailures(): Promise<void> {
    for (const { client } of this.sentinels) {
      await client.call('SENTINEL', 'SET', this.name, 'down-after-milliseconds', DOWN_AFTER_MS);
    }
  }

  /** Waits until a sentinel reports another master. */
  async switched(): Promise<void> {
    await until('the sentinels report another master', () => this.#hasSwitched || undefined);
  }

  /** Requests a failover to the replica although the master is healthy. */
  async failOver(): Promise<void> {
    await until('the sentinels accept the failover', async () => {
      const reply = await this.sentinels[0].client.call('SENTINEL', 'FAILOVER', this.name).catch(() => undefined);
      return reply === undefined ? undefined : true;
    });
  }

  /** Starts a killed server again, with the same arguments. */
  async restart({ port, args }: TestServer): Promise<TestServer> {
    const restarted = await launch(port, args);
    this.#restarted.push(restarted);
    return restarted;
  }

  /** Waits until each sentinel lists a replica that was restarted as one that replies. */
  async untilListed({ port }: TestServer): Promise<void> {
    for (const { client } of this.sentinels) {
      await until('a sentinel lists the replica', async () => {
        const replicas = (await client.call('SENTINEL', 'REPLICAS', this.name)) as string[][];
        const isListed = (fields: string[]): boolean => {
          const value = (name: string): string => fields[fields.indexOf(name) + 1];
          return value('port') === String(port) && value('flags') === 'slave';
        };
        return replicas.some(isListed) || undefined;
      });
    }
  }

  async stop(): Promise<void> {
    await stopAll([this.master, ...this.replicas, ...this.sentinels, ...this.#restarted], this.#directory);
  }

  async #settle(): Promise<void> {
    for (const replica of this.replicas) await untilReplicating(replica);
    for (const { client } of this.sentinels) await client.call('SENTINEL', 'DEBUG', ...FIRST_PERIODS);
    for (const { client } of this.sentinels) {
      await until('a sentinel lists all servers', async () => {
        const fields = (await client.call('SENTINEL', 'MASTER', this.name)) as string[];
        const value = (name: string): string => fields[fields.indexOf(name) + 1];
        return (
          (value('num-other-sentinels') === '2' && value('num-slaves') === String(this.replicas.length)) || undefined
        );
      });
      const listener = client.duplicate();
      listener.on('error', () => undefined);
      listener.on('message', () => (this.#hasSwitched = true));
      await listener.subscribe('+switch-master');
      client.once('end', () => listener.disconnect());
    }
    for (const { client } of this.sentinels) await client.call('SENTINEL', 'DEBUG', ...DEFAULT_PERIODS);
  }
}

/** Waits until a replica is connected to its master and has its data. */
export async function untilReplicating({ client }: Pick<TestServer, 'client'>): Promise<void> {
  await until('the replica follows', async () => {
    const info = await client.info('replication').catch(() => '');
    return /role:slave[^]*master_link_status:up/.test(info) || undefined;
  });
}

async function startRedis(directory: string, args: readonly string[], tls?: MutualTls): Promise<TestServer> {
  const port = await freePort();
  const all = [
    ...portOf(port, tls),
    ...['--bind', '127.0.0.1', '--save', '', '--dir', directory],
    ...['--dbfilename', `${port}.rdb`, '--repl-diskless-sync-delay', '0', '--enable-debug-command', 'yes', ...args],
  ];
  return launch(port, all, undefined, tls);
}

function portOf(port: number, tls: MutualTls | undefined): readonly string[] {
  return tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port), ...tls.args];
}

async function startSentinel(
  directory: string,
  masterPort: number,
  password: string | undefined,
  tls: MutualTls | undefined,
): Promise<TestServer> {
  const port = await freePort();
  const file = join(directory, `sentinel-${port}.conf`);
  const rules = password === undefined ? [] : [`requirepass ${password}`, `sentinel sentinel-pass ${password}`];
  const lines = [
    ...['bind 127.0.0.1', `dir ${directory}`, `sentinel monitor main 127.0.0.1 ${masterPort} 2`],
    ...[
      `sentinel down-after-milliseconds main ${PATIENT_DOWN_AFTER_MS}`,
      'sentinel failover-timeout main 5000',
      ...rules,
    ],
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return launch(port, [file, '--sentinel', ...portOf(port, tls)], password, tls);
}

async function launch(port: number, args: readonly string[], password?: string, tls?: MutualTls): Promise<TestServer> {
  const server = new Child('redis-server', args, { env: process.env });
  const client = redisClient({ port, password, tls: tls?.client });
  await until('the server replies to PING', async () => ((await client.ping()) === 'PONG' ? true : undefined));
  return { port, address: `127.0.0.1:${port}`, client, server, args };
}

async function stopAll(servers: readonly TestServer[], directory: string): Promise<void> {
  await Promise.all(
    servers.map(async ({ client, server }) => {
      client.disconnect();
      await server.stop('SIGKILL');
    }),
  );
  rmSync(directory, { recursive: true, force: true });
}
