// `make start`: runs the built proxy on the Redis in the settings, or on one at the default address, or on a temporary one
// with demo keys. Stops the processes that it has started when it is stopped.
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { ChildProcess } from './child-process.mjs';
import { chooseRedis } from './choose-redis.mjs';
import { headOf } from './http-head.mjs';
import { anyFreePort, isTaken, nextFreePort } from './ports.mjs';
import { ensureRedisServer, findRedisProgram } from './redis-server.mjs';
import { baseUrl, readSettings } from './settings.mjs';
import { whatToTry } from './what-to-try.mjs';

const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379/0';
const READY_MS = 15_000;
/** Longer than the maximum of SHUTDOWN_GRACE_MS, which the proxy enforces itself. */
const STOP_MS = 660_000;

const folder = fileURLToPath(new URL('../..', import.meta.url));
const say = (message) => console.log(message);

class StartError extends Error {}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof StartError ? error.message : error);
  process.exitCode = 1;
}

/** Returns the exit status: that of the proxy if it exited by itself, 0 if it was stopped. */
async function main() {
  if (Number.parseInt(process.versions.node, 10) < 24) {
    throw new StartError(`Node.js 24 is needed, this is ${process.version}. \`make start\` provides it.`);
  }
  const stopRequest = nextStopRequest();
  const settings = readSettings(folder);
  const { httpHost, httpTls, opsHost, respPort } = settings;
  const httpPort = settings.httpPort === 0 ? await anyFreePort() : settings.httpPort;
  const opsPort = settings.opsPort === 0 ? await anyFreePort() : settings.opsPort;
  await checkPorts({
    HTTP_PORT: [httpHost, httpPort],
    RESP_PORT: [httpHost, respPort],
    ...(opsPort !== undefined && { OPS_PORT: [opsHost, opsPort] }),
  });
  const base = baseUrl(httpHost, httpPort, httpTls);
  const ops = opsPort === undefined ? base : baseUrl(opsHost, opsPort);

  const ownRedis = await chooseRedis(settings, DEFAULT_REDIS_URL, redisServer, say);
  let proxy;
  try {
    proxy = startProxy(settings, ownRedis, { HTTP_PORT: httpPort, OPS_PORT: opsPort });
    void introduce(settings, ownRedis, { base, ops }, proxy);
    const outcome = await Promise.race([stopRequest, proxy.ended]);
    return exitStatus(outcome);
  } finally {
    await proxy?.stop(STOP_MS);
    await ownRedis?.stop();
  }
}

/** Reports all ports that are in use, with free ones as suggestions. */
async function checkPorts(addresses) {
  const taken = [];
  const advice = [];
  const ports = Object.values(addresses).map(([, port]) => port);
  for (const [name, [host, port]] of Object.entries(addresses)) {
    if (!(await isTaken(host, port))) continue;
    taken.push(port);
    advice.push(`${name}=${await nextFreePort(host, port, ports)}`);
  }
  if (taken.length === 0) return;
  const [are, others] =
    taken.length === 1 ? [`Port ${taken[0]} is`, 'Free port'] : [`Ports ${taken.join(' and ')} are`, 'Free ports'];
  const off = addresses.RESP_PORT[1] === taken.at(-1) ? '\nOr without the Redis protocol: make start RESP_PORT=' : '';
  throw new StartError(`${are} in use. ${others}: make start ${advice.join(' ')}${off}`);
}

/** Resolves with `{ requested: true }` on the first signal; further signals are ignored. */
function nextStopRequest() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => resolve({ requested: true }));
    }
  });
}

function redisServer() {
  try {
    return ensureRedisServer(say);
  } catch (error) {
    throw new StartError(`${error.message}\nOr name a Redis to use: make start REDIS_URL=redis://host:6379/0`);
  }
}

function startProxy({ logFormat }, ownRedis, ports) {
  const known = Object.entries(ports).filter(([, port]) => Number.isInteger(port));
  return new ChildProcess(process.execPath, ['dist/main.js'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      ...Object.fromEntries(known.map(([name, port]) => [name, String(port)])),
      ...(ownRedis && { REDIS_URL: ownRedis.url }),
      ...(process.stdout.isTTY && !logFormat && { LOG_FORMAT: 'pretty' }),
    },
  });
}

/** Prints addresses and sample commands once the proxy serves. */
async function introduce(settings, ownRedis, { base, ops }, proxy) {
  const ready = await waitUntilReady(ops, proxy);
  if (ready === undefined) return;
  const cli = findRedisProgram('cli');
  const demo = ownRedis && {
    etag: (await headOf(`${base}/v1/keys/user:42`))?.headers.etag,
    cli: cli && `${basename(cli)} -p ${ownRedis.port}`,
  };
  say(`
The proxy serves ${base}${ready ? '' : ', but its Redis is not available (yet)'}. In another terminal:

${whatToTry({ base, ops, demo, ...settings })}
Dashboard: ${ops}   Documentation: ${ops}/docs
Ctrl-C stops ${ownRedis ? 'the proxy and its Redis' : 'the proxy; the Redis keeps running'}.
`);
  const failure = await ownRedis?.ended;
  if (failure) say(`The temporary redis-server has exited; cached values are still served. Its log:\n${failure}`);
}

/** Returns true if the proxy is ready or serves only clients with a certificate, false if it has no Redis, undefined if it has exited. */
async function waitUntilReady(base, proxy) {
  let hasEnded = false;
  const ended = proxy.ended.then(() => (hasEnded = true));
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline;) {
    const response = await headOf(`${base}/health/ready`);
    if (hasEnded) return undefined;
    if (response !== undefined && (response.status ?? 200) === 200) return true;
    await Promise.race([delay(100), ended]);
  }
  return (await headOf(`${base}/health/live`)) && !hasEnded ? false : undefined;
}

function exitStatus({ requested, code, signal, error }) {
  if (requested) return 0;
  if (error) throw new StartError(`The proxy could not be started: ${error.message}`);
  say(`The proxy exited by itself (${signal ?? `status ${code}`}).`);
  return code ?? 1;
}
