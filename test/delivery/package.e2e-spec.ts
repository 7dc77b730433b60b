import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child, until } from '../support/processes.ts';
import { TestRedis } from '../support/redis.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

describeOwn('the package', () => {
  let directory: string;
  let packed: Packed;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'test-package-'));
    // Without scripts: what was built is what the other specs run.
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
    const packages = JSON.parse(execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8' })) as Record<string, Packed>;
    [packed] = Object.values(packages);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('has all that was built, without source maps, what npm always takes, the changelog, and nothing else', () => {
    const built = readdirSync(join(ROOT, 'dist'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
    expect(packed.files.map(({ path }) => path).sort()).toEqual(
      [...built, 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'].sort(),
    );
    expect(built).toEqual(expect.arrayContaining(['dist/main.js', 'dist/cli.js', 'dist/runtime/worker.js']));
    expect(
      built.filter((path) => /\.(?:spec|spec-support)\.|\/(?:test|bench)\/|\.ts$|\.map$|\/\.env/.test(path)),
    ).toEqual([]);
  });

  it('has the whole page of the dashboard', () => {
    const page = readdirSync(join(ROOT, 'src/dashboard/page'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'tsconfig.json')
      .map(({ parentPath, name }) => relative(join(ROOT, 'src/dashboard/page'), join(parentPath, name)));
    expect(page.length).toBeGreaterThan(15);
    const names = packed.files.map(({ path }) => path);
    for (const name of page) expect(names).toContain(`dist/dashboard/page/${name.replace(/\.ts$/, '.js')}`);
  });

  it('has the licences and notices of what it bundles', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
    const [installed, read] = [join(ROOT, 'node_modules'), (path: string) => readFileSync(path, 'utf8').trim()];
    const text = read(join(ROOT, 'dist/THIRD-PARTY-LICENSES.txt'));
    const bundled = [...text.matchAll(/^(\S+) \d+\.\d+\.\d+\S* \(.+\)$/gm)].map(([, name]) => name);
    // The files of these two are served as they are; the page of the API is made from a template of @nestjs/swagger.
    const served = ['swagger-ui-dist', 'uplot'];
    const direct = Object.keys(dependencies).filter((name) => !served.includes(name));
    expect(bundled).toEqual(expect.arrayContaining([...direct, 'express', '@nestjs/swagger']));
    for (const name of bundled) {
      const files = readdirSync(join(installed, name)).filter((file) => /licen[cs]e|notice|copying/i.test(file));
      expect(files).not.toEqual([]);
      for (const file of files) expect(text).toContain(read(join(installed, name, file)));
    }
  });

  describe('when it is installed', () => {
    let command: string;
    let manifest: Manifest;
    beforeAll(() => {
      ({ command, manifest } = install(join(directory, packed.filename), join(directory, 'installed')));
    });

    /** Its command, run in a folder where nothing else is. */
    function run(...args: string[]): Child {
      return new Child(command, args, { env: { PATH: process.env.PATH }, cwd: directory });
    }

    it.each(['--version', '--help'])('answers %s', async (word) => {
      const child = run(word);
      expect(await child.exit).toBe(0);
      expect(child.output).toContain(manifest.version);
      expect(child.errors).toBe('');
    });

    it('serves a key of a Redis, the dashboard and the page of the API', async () => {
      const redis = await TestRedis.start();
      const child = run(
        ...['--http-host=127.0.0.1', '--http-port=0', '--resp-port=', '--proxy-threads=1', '--log-format=json'],
        `--redis-url=${redis.url}`,
      );
      try {
        await redis.client.set('key', 'value');
        const url = await until('it listens', () => /"listening on (http:[^"]+)"/.exec(child.output)?.[1]);
        await until(
          'Redis is there',
          async () => (await sendRequest(url, '/health/ready')).status === 200 || undefined,
        );
        expect(await sendRequest(url, '/v1/keys/key')).toMatchObject({ status: 200, text: 'value' });
        for (const path of ['/', '/dashboard/app.js', '/dashboard/uplot.js', '/docs', '/docs/swagger-ui.css']) {
          expect([path, (await sendRequest(url, path)).status]).toEqual([path, 200]);
        }
      } finally {
        expect(await child.stop()).toBe(0);
        await redis.stop();
      }
      expect(child.errors).toBe('');
    });
  });
});

/** What npm does, without a network: only the dependencies that the package names are there, from this repository's. */
function install(tarball: string, folder: string): { command: string; manifest: Manifest } {
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  const root = join(folder, 'package');
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(root, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
  const script = join(root, manifest.bin[manifest.name]);
  const command = join(folder, manifest.name);
  chmodSync(script, 0o755);
  symlinkSync(script, command);
  return { command, manifest };
}
