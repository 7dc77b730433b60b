import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { seedDemoKeys } from '../support/documentation.ts';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { freePort } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Page } from './markdown.ts';
import {
  type Step,
  commandsOf,
  isWait,
  mayTakeEffectLater,
  settingsOf,
  stepsOf,
  withoutChangingParts,
} from './transcript.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
/** Time-out of a page in milliseconds; a page starts several proxies in sequence. */
const PAGE_MS = 180_000;

const canRun = ['bash', 'curl', 'redis-cli', 'openssl'].every(
  (program) => spawnSync(program, ['--version']).error === undefined,
);
const pages = ['README.md', ...globSync('docs/*.md', { cwd: ROOT }).sort()].map((path) => {
  const blocks = new Page(path).blocks('console');
  return {
    path,
    steps: blocks.flatMap((block) => stepsOf(block) ?? []),
    notRun: blocks.filter((block) => stepsOf(block) === undefined).flatMap(commandsOf),
  };
});
const transcripts = pages.filter(({ steps }) => steps.length > 0);

/** The processes that a reader of a page has started, with ports and a replacement for `/tmp` that belong to this test. */
class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'transcripts-'));
  #redis: TestRedis | undefined;
  #proxy: TestProxy | undefined;
  #respPort = 0;
  /** Whether the proxy tracks writes: it may lose the invalidation stream, and its entries with it, on a busy machine. */
  isTracking = false;

  /** Does what `make start` does: starts a Redis with demo keys, and a proxy. */
  async start(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.stop();
    this.isTracking = settings.CACHE_COHERENCE === 'tracking';
    const own = Object.entries(settings).map(([name, value]) => [name, this.#inOwnFolder(value)]);
    this.#redis = await TestRedis.start();
    await seedDemoKeys(this.#redis.client);
    this.#respPort = await freePort();
    const all = {
      REDIS_URL: this.#redis.url,
      RESP_PORT: this.#respPort,
      PROXY_THREADS: 1,
      ...(Object.fromEntries(own) as Record<string, string>),
      ...(settings.OPS_PORT === undefined ? {} : { OPS_PORT: 0 }),
    };
    this.#proxy = await TestProxy.start(all, '/', true, [], {
      ...this.#clientCertificate(),
      rejectUnauthorized: false,
    });
    // `make start` does the same, to print the ETag.
    await this.#proxy.request('/v1/keys/user:42', { method: 'HEAD' });
  }

  async run(command: string): Promise<string> {
    const { url = '', opsUrl = '' } = this.#proxy ?? {};
    const localCommand = this.#inOwnFolder(command)
      .replace('localhost:8080', new URL(url || 'http://none').host)
      .replace('localhost:9090', new URL(opsUrl || 'http://none').host)
      // In a terminal redis-cli shows replies with their types.
      .replace(/^redis-cli -p (\d+)/, (_all, port) => `redis-cli --no-raw -p ${this.#portFor(String(port))}`)
      .replace(/node dist\/main\.js$/, '$& 2>&1');
    const child = spawn('bash', ['-c', localCommand], {
      cwd: ROOT,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    await once(child, 'close');
    return output;
  }

  async stop(): Promise<void> {
    await this.#proxy?.stop();
    await this.#redis?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true });
  }

  /** Returns the client certificate that the page has made, if it has. */
  #clientCertificate(): { cert: Buffer; key: Buffer } | undefined {
    const [cert, key] = ['client.crt', 'client.key'].map((name) => join(this.#folder, name));
    return existsSync(cert) ? { cert: readFileSync(cert), key: readFileSync(key) } : undefined;
  }

  #inOwnFolder(text: string): string {
    return text.replaceAll('/tmp/', `${this.#folder}/`);
  }

  /** Maps 6380 to the proxy's port, and any other port of the page to that of the Redis. */
  #portFor(output: string): number {
    return output === '6380' ? this.#respPort : (this.#redis?.port ?? 0);
  }
}

describeOwn('commands in the documentation print the documented output', () => {
  let terminal: Terminal;
  beforeEach(() => {
    terminal = new Terminal();
  });
  afterEach(() => terminal.close());

  /** Runs a command and compares its output; again and again if a reader would have to wait for it. */
  async function play({ command, output }: Step, before: Step | undefined): Promise<void> {
    const settings = settingsOf(command);
    if (settings !== undefined) return terminal.start(settings);
    if (isWait(command)) return;
    const printed = async () => [command, withoutChangingParts(await terminal.run(command))];
    const expected = [command, withoutChangingParts(output)];
    const changes = terminal.isTracking || (before !== undefined && mayTakeEffectLater(before.command));
    if (changes) await eventually(printed, expected);
    else expect(await printed()).toEqual(expected);
  }

  (canRun ? it : it.skip).each(transcripts)(
    'in $path',
    async ({ steps }) => {
      let before: Step | undefined;
      for (const step of steps) {
        await play(step, before);
        before = step;
      }
    },
    PAGE_MS,
  );

  it('except commands that build images, run tests or benchmarks', () => {
    for (const command of pages.flatMap(({ notRun }) => notRun))
      expect(command).toMatch(/^(?:docker|npm run bench|make)\b/);
  });
});
