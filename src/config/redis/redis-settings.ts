import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Environment } from '../environment/environment.ts';
import { certificatesProblem, readPem, type ReportProblem } from '../pem-files.ts';
import { parseRedisNodes } from './redis-nodes.ts';
import { type RedisUrl, parseRedisUrl } from './redis-url.ts';
import { Secret } from '../secret.ts';
import { type NamedFile, REDIS_MODES, type Settings } from '../settings.ts';

/**
 * Returns the settings of Redis, with the content of the certificate files. Adds a line to `problems` for each contradiction
 * between settings and for each unusable file.
 *
 * @param variables the settings as given, with the `_FILE` forms of secrets.
 */
export function redisSettings(
  values: Environment,
  variables: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Settings['redis'] | undefined {
  const url = parseRedisUrl(values.REDIS_URL);
  // Invalid values of single settings have already been reported.
  if (url === undefined) return undefined;
  const report: ReportProblem = (name, problem) => {
    problems.push(`${name}: ${problem}`);
  };
  checkMode(values, url, report);
  checkTls(values, url.tls, report);
  const password = values.REDIS_PASSWORD ?? url.password;
  const fileOf = (...names: (keyof Environment)[]): NamedFile | undefined => {
    const [name] = names.filter((each) => values[each] !== undefined);
    const [setting, path] = [`${name}_FILE`, variables[`${name}_FILE`]];
    return path === undefined ? undefined : { setting, path };
  };
  return {
    mode: values.REDIS_MODE,
    tls: url.tls,
    host: url.host,
    port: url.port,
    socket: url.socket,
    nodes: values.REDIS_NODES === undefined ? [] : (parseRedisNodes(values.REDIS_NODES) ?? []),
    sentinel: {
      name: values.REDIS_SENTINEL_NAME,
      username: values.REDIS_SENTINEL_USERNAME,
      password: values.REDIS_SENTINEL_PASSWORD === undefined ? undefined : new Secret(values.REDIS_SENTINEL_PASSWORD),
      accountFiles: { username: fileOf('REDIS_SENTINEL_USERNAME'), password: fileOf('REDIS_SENTINEL_PASSWORD') },
    },
    readFrom: values.REDIS_READ_FROM,
    database: url.database,
    username: values.REDIS_USERNAME ?? url.username,
    password: password === undefined ? undefined : new Secret(password),
    accountFiles: {
      username: fileOf('REDIS_USERNAME', 'REDIS_URL'),
      password: fileOf('REDIS_PASSWORD', 'REDIS_URL'),
    },
    previousLogin: undefined,
    ...tlsFiles(values, report),
    tlsServerName: values.REDIS_TLS_SERVER_NAME,
    tlsRejectUnauthorized: values.REDIS_TLS_REJECT_UNAUTHORIZED,
    commandTimeoutMs: values.REDIS_COMMAND_TIMEOUT_MS,
    connectTimeoutMs: values.REDIS_CONNECT_TIMEOUT_MS,
    maxValueBytes: values.REDIS_MAX_VALUE_BYTES,
  };
}

function checkMode(values: Environment, { database, socket }: RedisUrl, report: ReportProblem): void {
  const { REDIS_MODE: mode } = values;
  if (!REDIS_MODES.includes(mode)) return;
  if (mode === 'standalone') {
    if (values.REDIS_NODES !== undefined) {
      report('REDIS_NODES', 'requires REDIS_MODE=sentinel or REDIS_MODE=cluster');
    }
    if (values.REDIS_READ_FROM !== 'master') {
      report(
        'REDIS_READ_FROM',
        'requires REDIS_MODE=sentinel or REDIS_MODE=cluster; to read a single replica, set REDIS_URL to its address',
      );
    }
  } else if (values.REDIS_NODES === undefined) {
    const whose = mode === 'sentinel' ? 'of the sentinels' : 'of some nodes of the cluster';
    report('REDIS_NODES', `required with REDIS_MODE=${mode}; expected host:port,… ${whose}`);
  }
  if (mode !== 'standalone' && socket !== undefined) {
    report('REDIS_URL', `unix:// with REDIS_MODE=${mode}; expected another scheme, since nodes have network addresses`);
  }
  if (mode === 'cluster' && database !== 0) {
    report('REDIS_URL', `database ${database} with REDIS_MODE=cluster; expected database 0, the only one of a cluster`);
  }
  if (mode === 'sentinel') {
    if (values.REDIS_SENTINEL_NAME === undefined) {
      report('REDIS_SENTINEL_NAME', 'required with REDIS_MODE=sentinel; expected the name of the master');
    }
    if (values.REDIS_SENTINEL_USERNAME !== undefined && values.REDIS_SENTINEL_PASSWORD === undefined) {
      report('REDIS_SENTINEL_USERNAME', 'requires REDIS_SENTINEL_PASSWORD');
    }
    return;
  }
  for (const name of ['REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'] as const) {
    if (values[name] !== undefined) report(name, 'requires REDIS_MODE=sentinel');
  }
}

const TLS_FILES = ['REDIS_TLS_CA_FILE', 'REDIS_TLS_CERT_FILE', 'REDIS_TLS_KEY_FILE'] as const;

function checkTls(values: Environment, tls: boolean, report: ReportProblem): void {
  if (tls) return;
  const requirement = 'requires a REDIS_URL that starts with rediss:// or valkeys://';
  for (const name of [...TLS_FILES, 'REDIS_TLS_SERVER_NAME'] as const) {
    if (values[name] !== undefined) report(name, requirement);
  }
  if (!values.REDIS_TLS_REJECT_UNAUTHORIZED) report('REDIS_TLS_REJECT_UNAUTHORIZED', `false ${requirement}`);
}

function tlsFiles(values: Environment, report: ReportProblem): Pick<Settings['redis'], 'tlsCa' | 'tlsCert' | 'tlsKey'> {
  const [ca, cert, key] = TLS_FILES;
  if (values[cert] !== undefined && values[key] === undefined) report(cert, `requires ${key}`);
  if (values[key] !== undefined && values[cert] === undefined) report(key, `requires ${cert}`);
  const [tlsCa, tlsCert, tlsKey] = TLS_FILES.map((name) =>
    readPem(name, values[name], name === key ? 'private key' : 'certificate', report),
  );
  const problem = tlsCa === undefined ? undefined : certificatesProblem(tlsCa);
  if (problem !== undefined) report(ca, problem);
  if (tlsCert !== undefined && tlsKey !== undefined) checkPair(tlsCert, tlsKey, report);
  return { tlsCa, tlsCert, tlsKey: tlsKey === undefined ? undefined : new Secret(tlsKey) };
}

/** Checks at start that certificate and key match; otherwise OpenSSL would report it for every connection. */
function checkPair(cert: string, key: string, report: ReportProblem): void {
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
    report('REDIS_TLS_KEY_FILE', 'does not match REDIS_TLS_CERT_FILE');
  } catch {
    const problem = 'cannot be used; expected a certificate and its key, not encrypted, in PEM files';
    report('REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE', problem);
  }
}
