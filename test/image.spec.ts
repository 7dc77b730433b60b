import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

const top = (name: string) => new URL(`../${name}`, import.meta.url);
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
}

describe('the image', () => {
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
    const { services } = parse(readFileSync(top('docker-compose.yml'), 'utf8'), { merge: true }) as {
      services: Readonly<Record<string, Service>>;
    };
    const ours = Object.entries(services).filter(([, { image }]) => image === 'redis-http-cache-proxy');
    expect(ours.map(([name, { entrypoint, command }]) => [name, entrypoint, command])).toEqual([
      ['proxy-a', undefined, undefined],
      ['proxy-b', undefined, undefined],
      ['seed', ['node', 'deploy/demo/seed.mjs'], undefined],
    ]);
  });
});
