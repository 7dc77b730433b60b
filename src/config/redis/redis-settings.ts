import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Environment, REDIS_MODES } from '../environment/environment.ts';
import { parseRedisNodes } from './redis-nodes.ts';
import { parseRedisUrl } from './redis-url.ts';
import { Secret } from '../secret.ts';
import type { Settings } from '../settings.ts';

/**
 * The settings of the Redis behind the proxy, with the files that they name. What does not go together is noted in
 * `problems`, a line each.
 */
export function redisSettings(values: Environment, problems: string[]): Settings['redis'] | undefined {
  const url = parseRedisUrl(values.REDIS_URL);
  // What is no address, no list of nodes and no mode has been noted as such.
  if (url === undefined) return undefined;
  const report = (name: string, problem: string, accepted: string): void => {
    problems.push(`${name}: ${problem}; accepted: ${accepted}`);
  };
  checkMode(values, url.database, report);
  const password = values.REDIS_PASSWORD ?? url.password;
  return {
    mode: values.REDIS_MODE,
    tls: url.tls,
    host: url.host,
    port: url.port,
    nodes: values.REDIS_NODES === undefined ? [] : (parseRedisNodes(values.REDIS_NODES) ?? []),
    sentinel: {
      name: values.REDIS_SENTINEL_NAME,
      username: values.REDIS_SENTINEL_USERNAME,
      password: values.REDIS_SENTINEL_PASSWORD === undefined ? undefined : new Secret(values.REDIS_SENTINEL_PASSWORD),
    },
    database: url.database,
    username: values.REDIS_USERNAME ?? url.username,
    password: password === undefined ? undefined : new Secret(password),
    ...tlsFiles(values, url.tls, report),
    commandTimeoutMs: values.REDIS_COMMAND_TIMEOUT_MS,
    connectTimeoutMs: values.REDIS_CONNECT_TIMEOUT_MS,
    maxValueBytes: values.REDIS_MAX_VALUE_BYTES,
  };
}

type Report = (name: string, problem: string, accepted: string) => void;

function checkMode(values: Environment, database: number, report: Report): void {
  const { REDIS_MODE: mode } = values;
  if (!REDIS_MODES.includes(mode)) return;
  if (mode === 'standalone') {
    if (values.REDIS_NODES !== undefined) {
      report('REDIS_NODES', 'given with REDIS_MODE=standalone', 'together with REDIS_MODE=sentinel or cluster');
    }
  } else if (values.REDIS_NODES === undefined) {
    const whose = mode === 'sentinel' ? 'of the sentinels' : 'of some nodes of the cluster';
    report('REDIS_NODES', `missing with REDIS_MODE=${mode}`, `host:port,… ${whose}`);
  }
  if (mode === 'cluster' && database !== 0) {
    report('REDIS_URL', `database ${database} with REDIS_MODE=cluster`, 'database 0, the only one of a cluster');
  }
  if (mode === 'sentinel') {
    if (values.REDIS_SENTINEL_NAME === undefined) {
      report('REDIS_SENTINEL_NAME', 'missing with REDIS_MODE=sentinel', 'the name the sentinels have for the master');
    }
    if (values.REDIS_SENTINEL_USERNAME !== undefined && values.REDIS_SENTINEL_PASSWORD === undefined) {
      report('REDIS_SENTINEL_USERNAME', 'given without a password', 'together with REDIS_SENTINEL_PASSWORD');
    }
    return;
  }
  for (const name of ['REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'] as const) {
    if (values[name] !== undefined) report(name, `given with REDIS_MODE=${mode}`, 'together with REDIS_MODE=sentinel');
  }
}

function tlsFiles(
  values: Environment,
  tls: boolean,
  report: Report,
): Pick<Settings['redis'], 'tlsCa' | 'tlsCert' | 'tlsKey'> {
  const names = ['REDIS_TLS_CA_FILE', 'REDIS_TLS_CERT_FILE', 'REDIS_TLS_KEY_FILE'] as const;
  for (const name of names) {
    if (values[name] === undefined || tls) continue;
    report(name, 'given without TLS', 'together with a REDIS_URL that starts with rediss://');
  }
  const [, cert, key] = names;
  if (values[cert] !== undefined && values[key] === undefined) report(cert, 'given without its key', `with ${key}`);
  if (values[key] !== undefined && values[cert] === undefined) report(key, 'given alone', `with ${cert}`);
  const [tlsCa, tlsCert, tlsKey] = names.map((name) => readPem(name, values[name], report));
  if (tlsCert !== undefined && tlsKey !== undefined) checkPair(tlsCert, tlsKey, report);
  return { tlsCa, tlsCert, tlsKey: tlsKey === undefined ? undefined : new Secret(tlsKey) };
}

function readPem(name: string, file: string | undefined, report: Report): string | undefined {
  if (file === undefined) return undefined;
  const [what, label] = name === 'REDIS_TLS_KEY_FILE' ? ['private key', 'PRIVATE KEY'] : ['certificate', 'CERTIFICATE'];
  try {
    const text = readFileSync(file, 'utf8');
    if (new RegExp(`^-----BEGIN (?:[A-Z]+ )*${label}-----`, 'm').test(text)) return text;
    report(name, `holds no ${what}`, 'the path of a PEM file');
  } catch (error) {
    const { code = 'unknown reason' } = error as NodeJS.ErrnoException;
    report(name, `cannot be read (${code})`, 'the path of a readable PEM file');
  }
  return undefined;
}

/** OpenSSL would say it at each attempt to connect, in its own words. */
function checkPair(cert: string, key: string, report: Report): void {
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
    report('REDIS_TLS_KEY_FILE', 'is the key of another certificate', 'the key of REDIS_TLS_CERT_FILE');
  } catch {
    const accepted = 'a certificate and its key, not encrypted, in PEM files';
    report('REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE', 'cannot be used', accepted);
  }
}
