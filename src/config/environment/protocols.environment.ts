import { EnumSetting, IntegerSetting, TextSetting } from './setting.decorators.ts';

export const UPSTASH_STATES = ['on', 'off'] as const;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export class ProtocolsEnvironment {
  @IntegerSetting({
    default: 6380,
    min: 0,
    max: 65_535,
    mayBeEmpty: true,
    meaning: 'Redis-protocol port, at HTTP_HOST; 0: any free port; empty: off',
  })
  RESP_PORT?: number;

  @IntegerSetting({
    default: HOUR_MS,
    min: 0,
    max: DAY_MS,
    meaning: 'milliseconds after which an idle Redis-protocol connection is closed; 0: never',
  })
  RESP_IDLE_TIMEOUT_MS!: number;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with RESP_TLS_KEY_FILE',
    meaning: 'certificate, followed by those of its issuers: RESP_PORT uses TLS; read again when the file changes',
  })
  RESP_TLS_CERT_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with RESP_TLS_CERT_FILE',
    meaning: 'private key of that certificate, not encrypted',
  })
  RESP_TLS_KEY_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with RESP_TLS_CERT_FILE',
    meaning: 'certificate authorities of client certificates, which clients must present; unset: none',
  })
  RESP_TLS_CLIENT_CA_FILE?: string;

  @EnumSetting({
    default: '',
    defaultText: 'on with ACCESS_TOKEN',
    values: UPSTASH_STATES,
    meaning: "Upstash's REST API at HTTP_PORT; requires ACCESS_TOKEN",
  })
  UPSTASH_REST_API?: (typeof UPSTASH_STATES)[number];
}
