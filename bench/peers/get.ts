import { HttpConnection, requestFor } from './http-connection.ts';

const CONNECTIONS = 32;

/** Requests a path and returns the body of the 200 response. @param isSecure whether to use TLS. */
export async function get(port: number, path: string, isSecure = false): Promise<Buffer> {
  let body = Buffer.alloc(0);
  await getAll(port, [path], (_, response) => (body = Buffer.from(response)), isSecure);
  return body;
}

/** Requests paths over several connections; fails on the first response that is not a 200. */
export async function getAll(
  port: number,
  paths: readonly string[],
  onBody: (index: number, body: Buffer) => void,
  isSecure = false,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    const connection = new HttpConnection(port, isSecure);
    try {
      while (next < paths.length) {
        const index = next++;
        onBody(index, await request(connection, paths[index]));
      }
    } catch (error) {
      // Stops the other connections.
      next = paths.length;
      throw error;
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECTIONS, paths.length) }, run));
}

function request(connection: HttpConnection, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    connection.request(requestFor(path), (response) => {
      if (response?.status === 200) resolve(response.body);
      else reject(new Error(`GET ${path}: ${response === undefined ? 'no response' : response.status}`));
    });
  });
}
