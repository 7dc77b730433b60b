import { EnumSetting, IntegerSetting } from './setting.decorators.ts';

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

  @EnumSetting({
    default: '',
    defaultText: 'on with ACCESS_TOKEN',
    values: UPSTASH_STATES,
    meaning: "Upstash's REST API at HTTP_PORT; requires ACCESS_TOKEN",
  })
  UPSTASH_REST_API?: (typeof UPSTASH_STATES)[number];
}
