/** A minimal server for keys over HTTP, using only node:http. */
import { createServer } from 'node:http';
import { valuesInMemory } from './values-in-memory.ts';

const PREFIX = '/v1/keys/';
const values = new Map([...valuesInMemory()].map(([key, value]) => [key, Buffer.from(value)]));

createServer((request, response) => {
  const value = values.get(decodeURIComponent(request.url?.slice(PREFIX.length) ?? ''));
  if (value === undefined) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': value.length }).end(value);
}).listen(Number(process.env.PORT), '127.0.0.1');
