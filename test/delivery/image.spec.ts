import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, matchesGlob, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { describeSettings } from '../../src/config/environment/environment.ts';

const top = (name: string) => new URL(`../../${name}`, import.meta.url);
/** Instructions that may go on behind a backslash, comments left out. */
const instructions = readFileSync(top('Dockerfile'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .replaceAll('\\\n', '')
  .split('\n')
  .filter((line) => line !== '');
/** Those of the image that runs the proxy, which is built last. */
const final = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly ports?: readonly string[];
  readonly tmpfs?: readonly string[];
}

type Services = Readonly<Record<string, Service>>;

const { services } = parse(readFileSync(top('docker-compose.yml'), 'utf8'), { merge: true }) as { services: Services };
const PROXIES = ['proxy-a', 'proxy-b'];

describe('the image', () => {
  it('is built on an exact version of Node.js by make and docker compose, in every stage', () => {
    const [, pinned] =
      /^NODE_IMAGE \?= (node:\d+\.\d+\.\d+-bookworm-slim)$/m.exec(readFileSync(top('Makefile'), 'utf8')) ?? [];
    expect(pinned).toBeDefined();
    const compose = readFileSync(top('docker-compose.yml'), 'utf8');
    expect(compose.match(/NODE_IMAGE: .*/g)).toEqual([`NODE_IMAGE: \${NODE_IMAGE:-${pinned}}`]);
    const bases = instructions.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1]);
    expect(new Set(bases)).toEqual(new Set(['${NODE_IMAGE}', 'dependencies']));
  });

  it('takes the words behind its name as flags of the proxy, with no shell in between', () => {
    expect(final).toContain('ENTRYPOINT ["node", "dist/main.js"]');
    expect(final).toContain('CMD []');
  });

  it('tells what it is, under names that all image tools know', () => {
    const label = final.find((line) => line.startsWith('LABEL ')) ?? '';
    const names = [...label.matchAll(/org\.opencontainers\.image\.(\w+)="([^"]+)"/g)].map(([, name]) => name);
    expect(names).toEqual(['title', 'description', 'licenses', 'version', 'revision', 'created']);
    for (const [, name] of label.matchAll(/"\$(\w+)"/g)) {
      expect(final.filter((line) => line.startsWith(`ARG ${name}=`))).toHaveLength(1);
    }
  });

  it('has the programs that others run in it: the check of its health, and the one that makes demo keys', () => {
    expect(final).toEqual(
      expect.arrayContaining(['COPY deploy/container deploy/container', 'COPY deploy/demo deploy/demo']),
    );
    for (const program of ['deploy/container/healthcheck.mjs', 'deploy/demo/seed.mjs']) {
      expect(existsSync(top(program))).toBe(true);
    }
  });

  it('runs another program in the Compose file only where that is the entrypoint', () => {
    const ours = Object.entries(services).filter(([, { image }]) => image === 'redis-http-cache-proxy');
    expect(ours.map(([name, { entrypoint, command }]) => [name, entrypoint, command])).toEqual([
      ['proxy-a', undefined, undefined],
      ['proxy-b', undefined, undefined],
      ['seed', ['node', 'deploy/demo/seed.mjs'], undefined],
    ]);
  });

  it('runs as a user that is not root, by its number, which is all that runAsNonRoot can check', () => {
    expect(instructions.filter((line) => line.startsWith('USER '))).toEqual(['USER 1000', 'USER 1000']);
    expect(final).toContain('USER 1000');
  });
});

describe('the image of the black-box suite', () => {
  /** As .dockerignore says: the last line that matches wins. */
  const rules = readFileSync(top('.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isIncluded: line.startsWith('!'), pattern: line.replace(/^!/, '') }));
  const isInImage = (path: string): boolean =>
    rules.findLast(({ pattern }) => [pattern, `${pattern}/**`].some((glob) => matchesGlob(path, glob)))?.isIncluded ??
    true;

  it('has every file that a spec in it imports', () => {
    const root = top('').pathname;
    const seen = new Set<string>(globSync('test/**/*.e2e-spec.ts', { cwd: root }));
    for (const path of seen) {
      const source = readFileSync(join(root, path), 'utf8');
      for (const [, name] of source.matchAll(/^(?:import|export) [^']*'(\.[^']+)'/gm)) {
        seen.add(normalize(join(dirname(path), name)));
      }
    }
    expect(seen.size).toBeGreaterThan(50);
    expect([...seen].filter((path) => !isInImage(path))).toEqual([]);
  });

  it('may run the libraries that its compiler unpacks to /tmp, which a tmpfs forbids by default', () => {
    expect(services.test.tmpfs).toEqual(['/tmp:exec']);
  });
});

describe('the Compose file', () => {
  const settings = describeSettings().flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));

  it.each(PROXIES)('passes every setting there is on to %s', (name) => {
    expect(Object.keys(services[name].environment ?? {})).toEqual(settings);
  });

  it('sets none itself but the address inside of the container and that of its own Redis', () => {
    const set = Object.entries(services['proxy-a'].environment ?? {}).filter(([, value]) => value !== null);
    expect(Object.fromEntries(set)).toEqual({
      HTTP_HOST: '0.0.0.0',
      REDIS_URL: '${REDIS_URL:-redis://redis:6379/0}',
    });
  });

  it('publishes no port but on 127.0.0.1, or on PUBLISH_ADDRESS', () => {
    const published = Object.values(services).flatMap(({ ports = [] }) => ports);
    expect(published).toHaveLength(4);
    for (const port of published) expect(port).toMatch(/^\$\{PUBLISH_ADDRESS:-127\.0\.0\.1\}:\d+:\$\{/);
  });

  const compose = [['docker', 'compose'], ['docker-compose']].find(
    ([program, ...args]) => spawnSync(program, [...args, 'version']).status === 0,
  );
  const describeCompose = compose === undefined ? describe.skip : describe;
  describeCompose(`as Compose reads it${compose === undefined ? ' (skipped: no docker compose here)' : ''}`, () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'compose-'));
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    /** Its services, with these variables in an env file and in the environment. */
    function configured(inFile: string, environment: Readonly<Record<string, string>> = {}): Services {
      const file = join(directory, 'env');
      writeFileSync(file, inFile);
      const [program, ...args] = compose ?? [];
      const { stdout, stderr, status } = spawnSync(program, [...args, '--env-file', file, 'config'], {
        cwd: top('').pathname,
        env: { PATH: process.env.PATH, ...environment },
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, expect.anything()]);
      return (parse(stdout) as { services: Services }).services;
    }

    it('hands tokens and patterns to both proxies, from .env and from the environment, which wins', () => {
      const found = configured('ACCESS_TOKEN=reader\nKEY_ALLOWLIST=user:*\nRESP_PORT=\nCACHE_CAPACITY=3\n', {
        ADMIN_TOKEN: 'admin',
        CACHE_CAPACITY: '4',
      });
      for (const name of PROXIES) {
        expect(found[name].environment).toMatchObject({
          ACCESS_TOKEN: 'reader',
          KEY_ALLOWLIST: 'user:*',
          RESP_PORT: '',
          CACHE_CAPACITY: '4',
          ADMIN_TOKEN: 'admin',
          REDIS_URL: 'redis://redis:6379/0',
        });
      }
    });

    it('hands an unset setting to no proxy, not even as an empty one', () => {
      const { environment = {} } = configured('')['proxy-a'];
      const set = Object.entries(environment).filter(([, value]) => value !== null);
      expect(set.map(([name]) => name).sort()).toEqual(['HTTP_HOST', 'REDIS_URL']);
    });

    it('publishes on 127.0.0.1, and elsewhere only where PUBLISH_ADDRESS says so', () => {
      const addresses = (found: Services): string[] =>
        PROXIES.flatMap((name) => found[name].ports ?? []).map((port) =>
          typeof port === 'string' ? port.replace(/:.*/, '') : (port as { host_ip: string }).host_ip,
        );
      expect(addresses(configured(''))).toEqual(Array(4).fill('127.0.0.1'));
      expect(addresses(configured('PUBLISH_ADDRESS=0.0.0.0'))).toEqual(Array(4).fill('0.0.0.0'));
    });
  });
});
