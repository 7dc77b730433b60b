import { request } from 'node:http';
import { request as requestOverTls } from 'node:https';
import { URL } from 'node:url';

/**
 * Returns the status and headers of a URL; undefined if there is no response within a second or the URL is invalid. Of a proxy that
 * requires a certificate of its clients, the status is undefined.
 */
export function headOf(url) {
  return new Promise((resolve) => {
    if (!URL.canParse(url)) return resolve(undefined);
    const send = new URL(url).protocol === 'https:' ? requestOverTls : request;
    // The certificate need not be for this name.
    const options = { method: 'HEAD', agent: false, timeout: 1000, rejectUnauthorized: false };
    const query = send(url, options, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    query.on('timeout', () => query.destroy());
    query.on('error', ({ code }) =>
      resolve(code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' ? { status: undefined, headers: {} } : undefined),
    );
    query.on('close', () => resolve(undefined));
    query.end();
  });
}
