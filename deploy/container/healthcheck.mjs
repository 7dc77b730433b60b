// Ends with status 0 if the proxy in this container is alive, whatever address and port its settings give it.
import { get } from 'node:http';

const host = process.env.HTTP_HOST || '0.0.0.0';
const port = process.env.HTTP_PORT || '8080';
const everywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' };

get({ host: everywhere[host] ?? host, port, path: '/health/live', timeout: 2000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
})
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
