import { request } from 'node:http';
import { URL } from 'node:url';

/** The status and headers of a page; undefined when nobody answers within a second, or the address is none. */
export function headOf(url) {
  return new Promise((resolve) => {
    if (!URL.canParse(url)) return resolve(undefined);
    const query = request(url, { method: 'HEAD', agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    query.on('timeout', () => query.destroy());
    query.on('error', () => resolve(undefined));
    query.on('close', () => resolve(undefined));
    query.end();
  });
}
