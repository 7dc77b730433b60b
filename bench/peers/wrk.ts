import type { Running } from './contestant.ts';
import { type Load, runGenerator } from './load.ts';
import type { Workbench } from './workbench.ts';

const CONNECTIONS = 64;
const SCRIPT = new URL('keys.lua', import.meta.url).pathname;

/** Configuration of OpenSSL, with which wrk offers one version and one cipher: all servers use the same. */
const OPENSSL = `openssl_conf = main
[main]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
`;

/** Loads one URL over 64 keep-alive connections; over TLS, with TLS 1.3 and AES-128-GCM. */
export async function wrk(
  bench: Workbench,
  { port, isSecure = false }: Pick<Running, 'port' | 'isSecure'>,
  path: string,
  seconds: number,
): Promise<Load> {
  const url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}${path}`;
  const env = isSecure ? { OPENSSL_CONF: bench.file('openssl.cnf', OPENSSL) } : {};
  return run(bench, [`-d${seconds}s`, url], env);
}

/** Keys to read: the path around their names, and the file with their order. */
export interface KeyOrder {
  readonly prefix: string;
  readonly suffix: string;
  /** Number of different keys. */
  readonly keys: number;
  readonly drawsFile: string;
  /** Position in the order to start at. */
  readonly first: number;
}

/** Loads many keys over 64 keep-alive connections. */
export async function wrkOfKeys(bench: Workbench, port: number, order: KeyOrder, seconds: number): Promise<Load> {
  const { prefix, suffix, keys, drawsFile, first } = order;
  const args = [prefix, suffix, String(keys), drawsFile, String(first)];
  return run(bench, [`-d${seconds}s`, '-s', SCRIPT, `http://127.0.0.1:${port}`, '--', ...args]);
}

async function run(bench: Workbench, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Load> {
  const common = ['-t1', `-c${CONNECTIONS}`, '--timeout', '10s'];
  const { output, cpuSeconds } = await runGenerator(bench, 'wrk', [...common, ...args], env);
  const problem = /Socket errors:.*|Non-2xx or 3xx responses:.*/.exec(output)?.[0];
  if (problem !== undefined) throw new Error(problem);
  const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
  if (!(requests > 0 && rate > 0)) throw new Error(`wrk: ${output}`);
  return { requests, seconds: requests / rate, generatorSeconds: cpuSeconds };
}
