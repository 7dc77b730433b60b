import { request } from 'node:http';
import { URL } from 'node:url';

/** Returns the status and headers of a URL; undefined if there is no response within a second or the URL is invalid. */
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
