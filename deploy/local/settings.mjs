// The few settings that `make start` itself must know, read as the proxy reads them: the environment wins over `.env`,
// an empty value counts as unset.
import { join } from 'node:path';
// Built before this runs. What is wrong with the file, the proxy says.
import { readEnvFile } from '../../dist/config/environment/env-file.js';

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
  // Empty, RESP_PORT means something: the Redis protocol is off.
  const inFile = readEnvFile(join(folder, '.env')).variables.map(({ name, value }) => [name, value]);
  const given = { ...withoutEmpty(Object.fromEntries(inFile)), ...withoutEmpty(process.env) };
  return Object.freeze({
    choosesRedis: namesOfARedis.some((name) => name in given),
    hasAdminToken: 'ADMIN_TOKEN' in given || 'ADMIN_TOKEN_FILE' in given,
    logFormat: given.LOG_FORMAT,
    httpHost: reachable(given.HTTP_HOST ?? '0.0.0.0'),
    httpPort: Number(given.HTTP_PORT ?? 8080),
    respPort: Number((process.env.RESP_PORT ?? Object.fromEntries(inFile).RESP_PORT ?? 6380) || 0),
  });
}

/** `http://` and what stands before the path, for people and programs on this machine. */
export function baseUrl(host, port) {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function withoutEmpty(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

function reachable(host) {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host;
}
