// Ends with status 0 if the proxy in this container is alive, whatever address and port its settings give it.
import { readFileSync } from 'node:fs';
import { get } from 'node:http';

// The first process of the container is the proxy, or has its words on the command line too. Another one can be named.
const words = commandLine(process.argv[2] ?? '1');
const host = flag('--http-host') || process.env.HTTP_HOST || '0.0.0.0';
// As in the proxy, the address of a Service or a link that is named `http` is no port: HTTP_PORT=tcp://10.0.0.1:80.
const port = flag('--http-port') || /^\d+$/.exec(process.env.HTTP_PORT ?? '')?.[0] || '8080';
const everywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' };

get({ host: everywhere[host] ?? host, port, path: '/health/live', timeout: 2000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
})
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));

function commandLine(process) {
  try {
    return readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // it may be hidden: the environment is what is left
  }
}

function flag(name) {
  const at = words.findIndex((word) => word === name || word.startsWith(`${name}=`));
  return at < 0 ? undefined : words[at] === name ? words[at + 1] : words[at].slice(name.length + 1);
}
