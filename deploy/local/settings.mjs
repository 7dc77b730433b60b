// Reads the few settings that `make start` itself needs, as the proxy does: the environment overrides `.env`, and an empty
// value counts as unset.
import { join } from 'node:path';
// Built before this script runs. The proxy reports errors in the file.
import { readEnvFile } from '../../build/config/environment/env-file.js';

/** Settings that choose a Redis. */
const namesOfARedis = [
  'REDIS_MODE',
  'REDIS_URL',
  'REDIS_URL_FILE',
  'REDIS_NODES',
  'REDIS_USERNAME',
  'REDIS_USERNAME_FILE',
  'REDIS_PASSWORD',
  'REDIS_PASSWORD_FILE',
];

/**
 * @param {string} folder the folder of the project, which contains `.env`
 * @returns the settings for choosing a Redis and printing addresses; the proxy reports invalid values
 */
export function readSettings(folder) {
  // An empty RESP_PORT turns the Redis protocol off.
  const inFile = readEnvFile(join(folder, '.env')).variables.map(({ name, value }) => [name, value]);
  const given = { ...withoutEmpty(Object.fromEntries(inFile)), ...withoutEmpty(process.env) };
  return Object.freeze({
    choosesRedis: namesOfARedis.some((name) => name in given),
    hasAccessToken: 'ACCESS_TOKEN' in given || 'ACCESS_TOKEN_FILE' in given,
    hasAdminToken: 'ADMIN_TOKEN' in given || 'ADMIN_TOKEN_FILE' in given,
    logFormat: given.LOG_FORMAT,
    httpTls: given.HTTP_TLS_CERT_FILE !== undefined,
    httpClientCertificates: given.HTTP_TLS_CLIENT_CA_FILE !== undefined,
    httpHost: reachable(given.HTTP_HOST ?? '0.0.0.0'),
    httpPort: Number(given.HTTP_PORT ?? 8080),
    // Undefined: health, dashboard and the admin API are at the HTTP port.
    opsPort: given.OPS_PORT === undefined ? undefined : Number(given.OPS_PORT),
    opsHost: reachable(given.OPS_HOST ?? given.HTTP_HOST ?? '0.0.0.0'),
    respPort: Number((process.env.RESP_PORT ?? Object.fromEntries(inFile).RESP_PORT ?? 6380) || 0),
  });
}

/** Returns the base URL of the proxy for clients on this machine. */
export function baseUrl(host, port, tls = false) {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function withoutEmpty(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

function reachable(given) {
  const host = given.replace(/^\[(.*)\]$/, '$1');
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host;
}
