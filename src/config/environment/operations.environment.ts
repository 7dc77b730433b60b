import { LOG_FORMATS, LOG_LEVELS, NODE_INTERNALS_MODES } from '../settings.ts';
import { EnumSetting, IntegerSetting, ListenHostSetting } from './setting.decorators.ts';

export class OperationsEnvironment {
  @IntegerSetting({
    min: 0,
    max: 65_535,
    meaning:
      'port of health, metrics, dashboard, API page and admin API, which are not at HTTP_PORT then; 0: any free port; unset: all at HTTP_PORT',
  })
  OPS_PORT?: number;

  @ListenHostSetting({
    accepted: 'an IP address or a host name, with OPS_PORT',
    meaning: 'address to listen on, for OPS_PORT; unset: HTTP_HOST',
  })
  OPS_HOST?: string;

  @EnumSetting({
    default: 'auto',
    values: NODE_INTERNALS_MODES,
    meaning:
      'private parts of Node.js and ioredis, which are faster; auto: the parts that pass a probe at start; off: public API only',
  })
  NODE_INTERNALS!: (typeof NODE_INTERNALS_MODES)[number];

  @IntegerSetting({
    default: 10_000,
    min: 0,
    max: 600_000,
    meaning: 'maximum milliseconds of a graceful shutdown',
  })
  SHUTDOWN_GRACE_MS!: number;

  @EnumSetting({ default: 'info', values: LOG_LEVELS, meaning: 'least severe level that is logged' })
  LOG_LEVEL!: (typeof LOG_LEVELS)[number];

  @EnumSetting({
    default: process.stdout.isTTY ? 'pretty' : 'json',
    defaultText: 'json; pretty in a terminal',
    values: LOG_FORMATS,
    meaning: 'json: one object per line; pretty: lines for people',
  })
  LOG_FORMAT!: (typeof LOG_FORMATS)[number];
}
