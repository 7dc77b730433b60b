import { describe, expect, it } from '@jest/globals';
import { isFault } from './socket-fault.ts';

const withCode = (code?: string) => Object.assign(new Error('an error'), { code });

describe('an error of a socket', () => {
  it.each(['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ECANCELED'])('is no fault when the client has gone: %s', (code) => {
    expect(isFault(withCode(code))).toBe(false);
  });

  it.each(['HPE_INVALID_METHOD', 'ERR_HTTP_REQUEST_TIMEOUT'])('is no fault when the request is bad: %s', (code) => {
    expect(isFault(withCode(code))).toBe(false);
  });

  it.each([undefined, 'EINVAL', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_INVALID_ARG_TYPE'])(
    'is a fault of the proxy otherwise: %s',
    (code) => {
      expect(isFault(withCode(code))).toBe(true);
    },
  );
});
