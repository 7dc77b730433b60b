// Exits with status 0 if the proxy in this container is alive, at the address and port of its settings.
import { readFileSync } from 'node:fs';
import { get } from 'node:http';

// Process 1 of the container is the proxy, or has its arguments on its command line. Another process can be given.
const args = commandLine(process.argv[2] ?? '1');
const host = flag('--http-host') || process.env.HTTP_HOST || '0.0.0.0';
// As in the proxy, a service link of Kubernetes is not a port: HTTP_PORT=tcp://10.0.0.1:80.
const port = flag('--http-port') || /^\d+$/.exec(process.env.HTTP_PORT ?? '')?.[0] || '8080';
const loopback = { '0.0.0.0': '127.0.0.1', '::': '::1' };

get({ host: loopback[host] ?? host, port, path: '/health/live', timeout: 2000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
})
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));

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
