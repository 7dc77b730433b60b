import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, freePort, until } from './processes.ts';

export type FrontEndName = 'nginx' | 'haproxy';

/** Whether a front end is installed on this machine. */
export function isInstalled(name: FrontEndName): boolean {
  return spawnSync(name, ['-v'], { stdio: 'ignore' }).status === 0;
}

/**
 * Returns the configuration in docs/operations.md, for a proxy at a URL: with PORT for the port to listen on. It serves the proxy at
 * `/` and below `/cache/`.
 */
export function documentedConfiguration(name: FrontEndName, proxyUrl: string): string {
  const text = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const block = new RegExp(`^\\x60{3}${name}\\n([^\\x60]+)`, 'm').exec(text)?.[1];
  if (block === undefined) throw new Error(`docs/operations.md has no configuration of ${name}`);
  return block
    .replace('127.0.0.1:8080', new URL(proxyUrl).host)
    .replace('127.0.0.1:80\n', '127.0.0.1:PORT\n')
    .replace('127.0.0.1:80;', '127.0.0.1:PORT;');
}

/** A front end in front of a proxy: nginx or HAProxy, with a configuration as its documentation has it. */
export class FrontEnd {
  readonly url: string;
  readonly #child: Child;
  readonly #folder: string;

  private constructor(port: number, child: Child, folder: string) {
    this.url = `http://127.0.0.1:${port}`;
    this.#child = child;
    this.#folder = folder;
  }

  /**
   * Starts a front end on a free port.
   *
   * @param configuration what a `http` block of nginx contains besides its temporary folders, or the frontend and the backend of
   *   HAProxy, with `PORT` for the port to listen on.
   */
  static async start(name: FrontEndName, configuration: string): Promise<FrontEnd> {
    const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), `${name}-`))];
    const file = join(folder, 'configuration');
    const own = configuration.replaceAll('PORT', String(port));
    writeFileSync(file, name === 'nginx' ? nginxFile(folder, own) : haproxyFile(own));
    const args = name === 'nginx' ? ['-e', 'stderr', '-p', folder, '-c', file] : ['-db', '-f', file];
    const child = new Child(name, args, { env: { PATH: process.env.PATH }, cwd: folder });
    await until(`${name} listens`, () => {
      if (!child.running) throw new Error(`${name} has ended: ${child.errors}${child.output}`);
      return isListening(port);
    });
    return new FrontEnd(port, child, folder);
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function nginxFile(folder: string, http: string): string {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 256; }
http {
access_log off;
${folders.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n')}
${http}
}
`;
}

function haproxyFile(own: string): string {
  return `defaults
  mode http
  timeout connect 60s
  timeout client 60s
  timeout server 60s
${own}
`;
}

function isListening(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}
