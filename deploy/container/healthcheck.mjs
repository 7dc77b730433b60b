// Exits with status 0 if the proxy in this container is alive, at the address and port of its settings.
import { readFileSync } from 'node:fs';

// Process 1 of the container is the proxy, or has its arguments on its command line. Another process can be given.
const args = commandLine(process.argv[2] ?? '1');
const tls = Boolean(setting('HTTP_TLS_CERT_FILE'));
// With OPS_PORT the health endpoints are there, and always without TLS.
const opsPort = portIn('OPS_PORT');
const port = opsPort ?? portIn('HTTP_PORT') ?? '8080';
const host = ((opsPort && setting('OPS_HOST')) || setting('HTTP_HOST') || '0.0.0.0').replace(/^\[(.*)\]$/, '$1');
// All addresses, of IPv6 as well, include this one.
const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
const { get } = await import(tls && !opsPort ? 'node:https' : 'node:http');
// The certificate is that of the proxy's own name.
const options = { host: address, port, path: '/health/live', timeout: 2000, rejectUnauthorized: false };

get(options, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1))
  .on('timeout', () => process.exit(1))
  // A proxy that asks for a client certificate, which this script has none of, is alive.
  .on('error', ({ code }) => process.exit(code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' ? 0 : 1));

/** Returns a setting of the proxy: its flag takes precedence over its environment variable. */
function setting(name) {
  return flag(`--${name.toLowerCase().replaceAll('_', '-')}`) ?? process.env[name];
}

/** As in the proxy, a service link of Kubernetes is not a port: HTTP_PORT=tcp://10.0.0.1:80. */
function portIn(name) {
  return /^\d+$/.exec(setting(name) ?? '')?.[0];
}

function commandLine(process) {
  try {
    return readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // /proc may be hidden; the environment remains
  }
}

function flag(name) {
  const at = args.findIndex((word) => word === name || word.startsWith(`${name}=`));
  return at < 0 ? undefined : args[at] === name ? args[at + 1] : args[at].slice(name.length + 1);
}
