import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { request as requestOverTls } from 'node:https';
import { type Socket, connect } from 'node:net';
import { type ConnectionOptions, connect as connectOverTls } from 'node:tls';

/** A response. */
export interface TestResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface TestRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  readonly body?: string | Buffer;
  /** Options of the connection to an https URL. */
  readonly tls?: ConnectionOptions;
}

/** A connection for each request. */
const NO_KEEP_ALIVE = new Agent({ keepAlive: false });

/** Sends a request; the path is not normalised. */
export function sendRequest(
  base: string,
  path: string,
  { method = 'GET', headers = {}, agent, body, tls = {} }: TestRequest = {},
): Promise<TestResponse> {
  const { protocol, hostname, port } = new URL(base);
  // IPv6 addresses have brackets in URLs only.
  const common = { hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port, path, method, headers };
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes,
          text,
          get json() {
            return JSON.parse(text) as Record<string, unknown>;
          },
        });
      });
    };
    const sent =
      protocol === 'https:'
        ? requestOverTls({ ...common, ...tls, agent: agent ?? false }, onResponse)
        : request({ ...common, agent: agent ?? NO_KEEP_ALIVE }, onResponse);
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends bytes; returns all that is received until the server ends the connection or `enough` returns true. */
export function exchange(
  base: string,
  bytes: string | Buffer,
  enough: (received: string) => boolean = () => false,
  tls: ConnectionOptions = {},
): Promise<string> {
  const { protocol, hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    let received = '';
    const send = (): void => void socket.write(bytes);
    const socket: Socket =
      protocol === 'https:'
        ? connectOverTls({ host: hostname, port: Number(port), ...tls }, send)
        : connect(Number(port), hostname, send);
    socket.setEncoding('latin1').on('data', (part: string) => {
      received += part;
      if (enough(received)) socket.destroy();
    });
    socket.on('error', reject).on('close', () => resolve(received));
  });
}
