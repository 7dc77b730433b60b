import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Child, until } from '../support/processes.ts';
import { render } from './kustomization.ts';
import type { Manifest } from './manifest.ts';
import { problemsOf } from './schemas.ts';

const top = new URL('../../', import.meta.url).pathname;

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly serviceAccountName: string;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
}

let directory: string;
let loop: Child | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'redis-token-'));
});
afterEach(async () => {
  await loop?.stop();
  loop = undefined;
  rmSync(directory, { recursive: true });
});

/** Renders the overlay in docs/redis.md. */
function renderOverlay(): Manifest[] {
  const page = readFileSync(join(top, 'docs/redis.md'), 'utf8');
  const text = /^```yaml\n(apiVersion: kustomize[^`]+)```/m.exec(page)?.[1] ?? '';
  symlinkSync(top, join(directory, 'redis-http-cache-proxy'));
  mkdirSync(join(directory, 'mine'));
  writeFileSync(join(directory, 'mine/kustomization.yaml'), text);
  return render(join(directory, 'mine'));
}

function podOf(manifests: readonly Manifest[]): PodSpec {
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  return (deployment?.spec as unknown as { template: { spec: PodSpec } }).template.spec;
}

describe('the overlay with a token of a cloud service in docs/redis.md', () => {
  it('is valid, and the sidecar writes the file that the proxy reads', () => {
    const manifests = renderOverlay();
    expect(manifests.flatMap(problemsOf)).toEqual([]);
    const { containers, initContainers, serviceAccountName } = podOf(manifests);
    const [proxy] = containers;
    const [sidecar] = initContainers;
    expect(serviceAccountName).toBe('redis-http-cache-proxy');
    expect(sidecar.image).toBe('images.example.com/elasticache-token:1.0.0');
    const valueIn = ({ env }: Container, name: string) => env.find((each) => each.name === name)?.value;
    const file = valueIn(proxy, 'REDIS_PASSWORD_FILE');
    expect(file).toBe(valueIn(sidecar, 'TOKEN_FILE'));
    for (const { volumeMounts } of [proxy, sidecar]) {
      const mount = volumeMounts.find(({ mountPath }) => file?.startsWith(`${mountPath}/`));
      expect(mount?.name).toBe('redis-token');
    }
    // The files of the Secret are still there.
    expect(proxy.volumeMounts.map(({ name }) => name)).toContain('secrets');
    const dataOf = ({ envFrom }: Container) =>
      manifests.find(({ kind, metadata: { name } }) => kind === 'ConfigMap' && name === envFrom[0].configMapRef.name)
        ?.data;
    expect(dataOf(proxy)).toMatchObject({ REDIS_USERNAME: 'cache-reader' });
    expect(dataOf(sidecar)).toEqual({
      TOKEN_COMMAND: 'python3 /elasticache_token.py my-cache cache-reader',
      TOKEN_SECONDS: '600',
    });
  });
});

describe('the loop of the sidecar', () => {
  /** Runs the loop with a stand-in for the command that prints a token, and a `sleep` of a few milliseconds. */
  function run(command: string): void {
    const [sidecar] = podOf(renderOverlay()).initContainers;
    mkdirSync(join(directory, 'bin'));
    const sleep = join(directory, 'bin/sleep');
    writeFileSync(sleep, `#!/bin/sh\necho "$1" >> ${directory}/pauses\nexec /bin/sleep 0.01\n`);
    chmodSync(sleep, 0o755);
    loop = new Child('sh', ['-c', ...sidecar.args], {
      cwd: directory,
      env: {
        PATH: `${join(directory, 'bin')}:${process.env.PATH}`,
        TOKEN_FILE: join(directory, 'password'),
        TOKEN_COMMAND: command,
        TOKEN_SECONDS: '600',
      },
    });
  }

  const read = (name: string): string => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };

  it('writes each token whole, for the proxy only, and ends with the pod', async () => {
    run('n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n; echo "token $n"');
    const seen = new Set<string>();
    await until('some tokens', () => {
      const token = read('password');
      if (token !== '') seen.add(token);
      return seen.size >= 3 || undefined;
    });
    for (const token of seen) expect(token).toMatch(/^token \d+$/);
    expect(statSync(join(directory, 'password')).mode & 0o777).toBe(0o600);
    expect(new Set(read('pauses').trim().split('\n'))).toEqual(new Set(['600']));
    expect(await loop?.stop()).toBe(0);
  });

  it.each([
    ['fails', 'echo no >&2; exit 1'],
    ['prints nothing', 'true'],
  ])('keeps the last token while the command %s, and tries again soon', async (_, failure) => {
    run(`if [ -e again ]; then echo second; elif [ -e password ]; then ${failure}; else echo first; fi`);
    await until('failed attempts', () => read('pauses').split('5\n').length > 3 || undefined);
    expect(read('password')).toBe('first');
    // What it prints may arrive later than what it writes to files.
    await until('the message', () => loop?.errors.includes('no token; trying again in 5 seconds') || undefined);
    writeFileSync(join(directory, 'again'), '');
    await until('the next token', () => read('password') === 'second' || undefined);
  });
});
