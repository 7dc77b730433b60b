// The few settings that `make start` itself must know, read as the proxy reads them: the environment wins over `.env`,
// an empty value counts as unset.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';

/** Whoever gives one of these has a Redis in mind. */
const namesOfARedis = [
  'REDIS_MODE',
  'REDIS_URL',
  'REDIS_URL_FILE',
  'REDIS_NODES',
  'REDIS_USERNAME',
  'REDIS_PASSWORD',
  'REDIS_PASSWORD_FILE',
];

/**
 * @param {string} folder the project's, where `.env` is
 * @returns what it takes to choose a Redis and to print addresses; a bad value is left to the proxy to refuse
 */
export function readSettings(folder) {
  const given = { ...withoutEmpty(readEnvFile(join(folder, '.env'))), ...withoutEmpty(process.env) };
  return Object.freeze({
    choosesRedis: namesOfARedis.some((name) => name in given),
    hasAdminToken: 'ADMIN_TOKEN' in given || 'ADMIN_TOKEN_FILE' in given,
    logFormat: given.LOG_FORMAT,
    httpHost: reachable(given.HTTP_HOST ?? '0.0.0.0'),
    httpPort: Number(given.HTTP_PORT ?? 8080),
  });
}

/** `http://` and what stands before the path, for people and programs on this machine. */
export function baseUrl(host, port) {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function readEnvFile(path) {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch {
    return {}; // if the file is there and cannot be read, the proxy says so
  }
}

function withoutEmpty(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

function reachable(host) {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host;
}
