import { describe, expect, it } from '@jest/globals';
import { isFault } from './socket-fault.ts';

const withCode = (code?: string) => Object.assign(new Error('an error'), { code });

describe('isFault', () => {
  it.each(['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ECANCELED', 'EOF'])(
    'is false if the client has disconnected: %s',
    (code) => {
      expect(isFault(withCode(code))).toBe(false);
    },
  );

  it.each(['HPE_INVALID_METHOD', 'ERR_HTTP_REQUEST_TIMEOUT'])(
    'is false for a malformed or slow request: %s',
    (code) => {
      expect(isFault(withCode(code))).toBe(false);
    },
  );

  it.each(['ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC', 'EPROTO'])('is false for a malformed TLS record: %s', (code) => {
    expect(isFault(withCode(code))).toBe(false);
  });

  it.each([undefined, 'EINVAL', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_INVALID_ARG_TYPE'])(
    'is true for any other error: %s',
    (code) => {
      expect(isFault(withCode(code))).toBe(true);
    },
  );
});
