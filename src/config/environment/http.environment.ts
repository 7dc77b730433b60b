import { CONTENT_CODINGS, type ContentCoding, FAST_PATH_STATES, REQUEST_CACHE_CONTROL_MODES } from '../settings.ts';
import { parseKeyRules } from '../key-pattern-syntax.ts';
import { EnumSetting, IntegerSetting, ListenHostSetting, TextSetting } from './setting.decorators.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const HOUR_MS = 3_600_000;
/** A media type without quoted parameters, hence without commas. */
const MEDIA_TYPE = /^(?=.{1,200}$)[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.-]+)*$/;

export class HttpEnvironment {
  @ListenHostSetting({
    default: '0.0.0.0',
    meaning: 'address to listen on, for HTTP and the Redis protocol; :: for IPv6 and IPv4',
  })
  HTTP_HOST!: string;

  @IntegerSetting({ default: 8080, min: 0, max: 65_535, meaning: 'HTTP port; 0: any free port' })
  HTTP_PORT!: number;

  @TextSetting({
    default: 'application/octet-stream',
    pattern: MEDIA_TYPE,
    accepted: 'a media type',
    meaning: 'Content-Type of values',
  })
  HTTP_CONTENT_TYPE!: string;

  @TextSetting({
    check: (text) => parseKeyRules(text, (value) => MEDIA_TYPE.test(value)) !== undefined,
    accepted:
      'pattern=media type, separated by commas, such as *.html=text/html; charset=utf-8,user:*=application/json; patterns as in ' +
      'KEY_ALLOWLIST, with \\= for a literal =',
    meaning: 'Content-Type of values by key, the first pattern that matches; else HTTP_CONTENT_TYPE',
  })
  HTTP_CONTENT_TYPES?: string;

  @TextSetting({
    check: (text) => parseKeyRules(text, isCoding) !== undefined,
    accepted: 'pattern=gzip, pattern=br or pattern=zstd, separated by commas; patterns as in HTTP_CONTENT_TYPES',
    meaning:
      'Content-Encoding in which values are stored, by key; clients that do not accept it get the decompressed value, of at most ' +
      'REDIS_MAX_VALUE_BYTES',
  })
  HTTP_CONTENT_ENCODINGS?: string;

  @TextSetting({
    default: 'off',
    check: areCodings,
    accepted: 'off, or some of gzip, br and zstd, separated by commas, the preferred one first',
    meaning: 'codings in which values and JSON of a type that can be compressed are sent to clients that accept them',
  })
  HTTP_COMPRESSION!: string;

  @IntegerSetting({
    default: KiB,
    min: 1,
    max: 2 ** 30,
    meaning: 'minimum bytes of a value or of JSON that is compressed',
  })
  HTTP_COMPRESSION_MIN_BYTES!: number;

  @TextSetting({
    check: areOrigins,
    accepted: '*, or origins such as https://example.com:8443, separated by commas',
    meaning: 'origins whose pages may read keys (CORS); *: all; unset: none',
  })
  HTTP_CORS_ORIGINS?: string;

  @IntegerSetting({
    default: 208 * KiB,
    min: KiB,
    max: MiB,
    meaning: 'maximum bytes of the request line and headers; the default leaves room for the longest key',
  })
  HTTP_MAX_HEADER_BYTES!: number;

  @IntegerSetting({
    default: 10_000,
    min: 1,
    max: HOUR_MS,
    meaning: 'milliseconds within which a client must send its headers',
  })
  HTTP_HEADERS_TIMEOUT_MS!: number;

  @IntegerSetting({
    default: 30_000,
    min: 1,
    max: HOUR_MS,
    meaning: 'milliseconds within which a client must send its whole request',
  })
  HTTP_REQUEST_TIMEOUT_MS!: number;

  @IntegerSetting({
    default: 65_000,
    min: 1,
    max: HOUR_MS,
    meaning: 'milliseconds after which an idle connection is closed; longer than the idle time-out of load balancers',
  })
  HTTP_KEEP_ALIVE_TIMEOUT_MS!: number;

  @EnumSetting({
    default: 'honour',
    values: REQUEST_CACHE_CONTROL_MODES,
    meaning: 'ignore: clients cannot bypass the cache with no-cache, max-age, only-if-cached or Pragma',
  })
  HTTP_REQUEST_CACHE_CONTROL!: (typeof REQUEST_CACHE_CONTROL_MODES)[number];

  @EnumSetting({
    default: 'on',
    values: FAST_PATH_STATES,
    meaning: 'fast path: plain key reads without node:http and Express, with the same responses',
  })
  HTTP_FAST_PATH!: (typeof FAST_PATH_STATES)[number];

  @TextSetting({
    accepted: 'the path of a readable PEM file, with HTTP_TLS_KEY_FILE',
    meaning: 'certificate, followed by those of its issuers: HTTP_PORT uses TLS; read again when the file changes',
  })
  HTTP_TLS_CERT_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with HTTP_TLS_CERT_FILE',
    meaning: 'private key of that certificate, not encrypted',
  })
  HTTP_TLS_KEY_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with HTTP_TLS_CERT_FILE',
    meaning: 'certificate authorities of client certificates, which clients must present; unset: none',
  })
  HTTP_TLS_CLIENT_CA_FILE?: string;
}

function isCoding(text: string): text is ContentCoding {
  return CONTENT_CODINGS.some((coding) => coding === text);
}

/** Returns whether the text is `off`, or different content codings. */
function areCodings(text: string): boolean {
  const codings = text.split(',');
  return text === 'off' || (codings.every(isCoding) && new Set(codings).size === codings.length);
}

/** Returns whether the text is `*`, or origins as browsers send them. */
function areOrigins(text: string): boolean {
  return text === '*' || text.split(',').every((each) => /^https?:/.test(each) && URL.parse(each)?.origin === each);
}
