import { Logger } from '@nestjs/common';
import { LayoutError } from './cache/shared-lru/memory/layout.ts';
import { CommandLineError, type Flags, withFlagNames, readCommandLine } from './config/command-line/command-line.ts';
import { helpText } from './config/command-line/help.ts';
import { type Notice, SettingsError, loadSettings } from './config/load-settings.ts';
import { packageVersion } from './config/package-version.ts';
import { withoutPemText } from './config/pem-files.ts';
import type { Settings } from './config/settings.ts';
import { freePort } from './runtime/ports/free-port.ts';
import type { Ports } from './runtime/listeners.ts';
import { ProxyLogger, logLibraryWarnings } from './runtime/logger.ts';
import { openFilesWarning } from './runtime/open-files.ts';
import { canSharePorts, withAvailableHosts, withOneThread } from './runtime/ports/port-sharing.ts';
import { shutdownOnSignal } from './runtime/shutdown.ts';
import { StartLockTimeout, lockStart } from './runtime/ports/start-lock.ts';
import { StartError, Supervisor } from './runtime/supervisor.ts';
import { SettingFiles } from './runtime/setting-files/setting-files.ts';

let supervisor: Supervisor | undefined;
let flags: Flags = {};
/** Log lines that are kept until the logger is set up. */
const notices: Notice[] = [];

try {
  const commandLine = readCommandLine(process.argv.slice(2));
  switch (commandLine.kind) {
    case 'help':
      process.stdout.write(helpText(packageVersion()));
      break;
    case 'version':
      process.stdout.write(`${packageVersion()}\n`);
      break;
    case 'start':
      flags = commandLine.flags;
      await start(loadSettings(process.env, '.env', flags, (notice) => notices.push(notice)));
  }
} catch (error) {
  process.stderr.write(`${withFlagNames(explain(error), flags)}\n`);
  process.exit(error instanceof CommandLineError ? 2 : 1);
}

async function start(wanted: Settings): Promise<void> {
  const logger = new ProxyLogger(wanted.log);
  Logger.overrideLogger(logger);
  logLibraryWarnings(logger);
  shutdownOnSignal(
    async () => supervisor?.drain(),
    wanted.shutdownGraceMs,
    async () => supervisor?.saveKeys(),
  );
  const { platform, arch, versions } = process;
  const system = { version: packageVersion(), node: versions.node, platform, arch };
  logger.log('starting', { ...system, settings: withoutPemText(wanted) }, 'Supervisor');
  for (const { level, text } of notices) logger[level](text, 'Settings');
  const warn = (text: string): void => logger.warn(text, 'Settings');
  const available = await withAvailableHosts(wanted, warn);
  const sharePorts = await canSharePorts(available.http.host);
  const settings = sharePorts ? available : withOneThread(available, warn);
  const warning = openFilesWarning(settings);
  if (warning !== undefined) warn(warning);
  const unlock = await lockStart([settings.http.port, settings.resp.port ?? 0, settings.ops.port ?? 0]);
  const { ports, release } = await findPorts(settings, sharePorts);
  const files = new SettingFiles(settings, (changed) => supervisor?.useSettings(changed));
  supervisor = new Supervisor(settings, ports, () => files.request());
  await supervisor.start();
  release();
  unlock();
  files.watch();
  if (!supervisor.draining) {
    for (const line of listeningLines(settings, ports)) logger.log(line, 'Supervisor');
  }
}

/** Returns the log lines that name the URLs of the listeners, HTTP last. */
function listeningLines({ http, resp, ops }: Settings, ports: Ports): string[] {
  const at = `${reachableName(http.host)}:`;
  const lines: string[] = [];
  if (ports.ops !== undefined) {
    lines.push(`listening for operations on http://${reachableName(ops.host)}:${ports.ops}`);
  }
  if (ports.resp !== undefined) {
    const url = `${at}${ports.resp}`;
    lines.push(
      resp.tls === undefined
        ? `listening for the Redis protocol on redis://${url}`
        : `listening for the Redis protocol on rediss://${url}`,
    );
  }
  const url = `${at}${ports.http}`;
  lines.push(http.tls === undefined ? `listening on http://${url}` : `listening on https://${url}`);
  return lines;
}

async function findPorts(
  { http, resp, ops }: Settings,
  shared: boolean,
): Promise<{ ports: Ports; release: () => void }> {
  const found: { readonly what: string; readonly port: number; readonly release: () => void }[] = [];
  const find = async (what: string, names: string, host: string, wanted: number) => {
    const same = found.find(({ port }) => port === wanted);
    if (same !== undefined) {
      throw new StartError(`${names.split(' ').at(-1)}: ${wanted} is the ${same.what}; expected another port`);
    }
    try {
      const { port, release } = await freePort(host, wanted, shared);
      found.push({ what, port, release });
      return port;
    } catch (error) {
      throw new StartError(`${names}: ${(error as Error).message}`, { cause: error });
    }
  };
  const httpPort = await find('HTTP port', 'HTTP_HOST, HTTP_PORT', http.host, http.port);
  const respPort =
    resp.port === undefined
      ? undefined
      : await find('port of the Redis protocol', 'HTTP_HOST, RESP_PORT', http.host, resp.port);
  const opsPort = ops.port === undefined ? undefined : await find('ops port', 'OPS_HOST, OPS_PORT', ops.host, ops.port);
  return {
    ports: { http: httpPort, resp: respPort, ops: opsPort, shared },
    release: () => found.forEach(({ release }) => release()),
  };
}

/** Returns the host name for clients on the same machine. */
function reachableName(host: string): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return name.includes(':') ? `[${name}]` : name;
}

/** Returns one line for each problem, or the stack of an unexpected error. */
function explain(error: unknown): string {
  const isProblem = [CommandLineError, SettingsError, StartError].some((kind) => error instanceof kind);
  if (isProblem) return (error as Error).message;
  if (error instanceof StartLockTimeout) return `HTTP_PORT, RESP_PORT, OPS_PORT: ${error.message}`;
  if (error instanceof LayoutError) return `CACHE_CAPACITY, CACHE_MAX_BYTES: ${error.message}`;
  const { syscall, message, stack } = error as NodeJS.ErrnoException;
  return syscall === undefined ? (stack ?? message) : `HTTP_HOST, HTTP_PORT: ${message}`;
}
