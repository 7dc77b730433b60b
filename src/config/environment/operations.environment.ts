import { LOG_FORMATS, LOG_LEVELS, NODE_INTERNALS_MODES } from '../settings.ts';
import { EnumSetting, IntegerSetting } from './setting.decorators.ts';

export class OperationsEnvironment {
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
