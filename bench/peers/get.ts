import { HttpConnection, requestFor } from './http-connection.ts';

const CONNECTIONS = 32;

/** The body of a 200. */
export async function get(port: number, path: string): Promise<Buffer> {
  let body = Buffer.alloc(0);
  await getAll(port, [path], (_, answer) => (body = Buffer.from(answer)));
  return body;
}

/** Asks for paths, on several connections; fails with the first answer that is not a 200. */
export async function getAll(
  port: number,
  paths: readonly string[],
  look: (index: number, body: Buffer) => void,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    const connection = new HttpConnection(port);
    try {
      while (next < paths.length) {
        const index = next++;
        look(index, await ask(connection, paths[index]));
      }
    } catch (error) {
      // Nobody asks on when one has failed.
      next = paths.length;
      throw error;
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECTIONS, paths.length) }, run));
}

function ask(connection: HttpConnection, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    connection.request(requestFor(path), (answer) => {
      if (answer?.status === 200) resolve(answer.body);
      else reject(new Error(`GET ${path}: ${answer === undefined ? 'no answer' : answer.status}`));
    });
  });
}
