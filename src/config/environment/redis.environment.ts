import { isIP } from 'node:net';
import { parseRedisNodes } from '../redis/redis-nodes.ts';
import { REDIS_URL_SYNTAX, parseRedisUrl } from '../redis/redis-url.ts';
import { READ_FROM_MODES, REDIS_MODES } from '../settings.ts';
import { BooleanSetting, EnumSetting, IntegerSetting, TextSetting } from './setting.decorators.ts';

const MiB = 2 ** 20;
const MAX_TIMEOUT_MS = 600_000;

/** A user name is not secret, but comes from a file where users are rotated together with their passwords. */
const USER_NAME = { secret: true, isPublic: () => true };

export class RedisEnvironment {
  @EnumSetting({
    default: 'standalone',
    values: REDIS_MODES,
    meaning: 'standalone: one Redis; sentinel: the master that the sentinels name; cluster: a Redis Cluster',
  })
  REDIS_MODE!: (typeof REDIS_MODES)[number];

  @TextSetting({
    default: 'redis://127.0.0.1:6379/0',
    check: (value) => parseRedisUrl(value) !== undefined,
    accepted: REDIS_URL_SYNTAX,
    meaning: 'address of Redis; with REDIS_NODES only its scheme, account and database are used',
    secret: true,
    isPublic: hasNoPassword,
  })
  REDIS_URL!: string;

  @TextSetting({
    check: (value) => parseRedisNodes(value) !== undefined,
    accepted: 'host:port, separated by commas; IPv6 addresses in brackets',
    meaning: 'the sentinels, or some nodes of the cluster: host:port,…',
  })
  REDIS_NODES?: string;

  @EnumSetting({
    default: 'master',
    values: READ_FROM_MODES,
    meaning:
      'servers that keys are loaded from, with sentinels or a cluster; prefer-replica: a master if it has no usable replica',
  })
  REDIS_READ_FROM!: (typeof READ_FROM_MODES)[number];

  @TextSetting({ accepted: 'the name of the master', meaning: 'name of the master at the sentinels' })
  REDIS_SENTINEL_NAME?: string;

  @TextSetting({
    accepted: 'a user name',
    meaning: 'user name for the sentinels, if they require one',
    ...USER_NAME,
  })
  REDIS_SENTINEL_USERNAME?: string;

  @TextSetting({ accepted: 'a password', meaning: 'password for the sentinels, if they require one', secret: true })
  REDIS_SENTINEL_PASSWORD?: string;

  @TextSetting({
    accepted: 'a user name',
    meaning: 'user name for Redis; overrides the one in REDIS_URL',
    ...USER_NAME,
  })
  REDIS_USERNAME?: string;

  @TextSetting({ accepted: 'a password', meaning: 'password for Redis; overrides the one in REDIS_URL', secret: true })
  REDIS_PASSWORD?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with a rediss:// or valkeys:// address',
    meaning: 'certificate authority of the certificate of Redis; unset: the authorities that Node.js trusts',
  })
  REDIS_TLS_CA_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with a rediss:// or valkeys:// address and REDIS_TLS_KEY_FILE',
    meaning: 'certificate of the proxy, for a Redis that requires client certificates (mutual TLS)',
  })
  REDIS_TLS_CERT_FILE?: string;

  @TextSetting({
    accepted: 'the path of a readable PEM file, with REDIS_TLS_CERT_FILE',
    meaning: 'private key of that certificate, not encrypted',
  })
  REDIS_TLS_KEY_FILE?: string;

  @TextSetting({
    pattern: /^[a-z\d_](?:[\w-]*[a-z\d_])?(?:\.[a-z\d_](?:[\w-]*[a-z\d_])?)*$/i,
    check: (value) => isIP(value) === 0,
    accepted: 'a host name, with a rediss:// or valkeys:// address',
    meaning:
      'name that is sent to Redis (SNI) and that its certificate must be valid for; unset: the host of each server',
  })
  REDIS_TLS_SERVER_NAME?: string;

  @BooleanSetting({
    default: true,
    meaning: 'whether the certificate of Redis is verified; false: any certificate is accepted, also of an attacker',
  })
  REDIS_TLS_REJECT_UNAUTHORIZED!: boolean;

  @IntegerSetting({
    default: 1000,
    min: 1,
    max: MAX_TIMEOUT_MS,
    meaning: 'milliseconds within which Redis must reply to a read',
  })
  REDIS_COMMAND_TIMEOUT_MS!: number;

  @IntegerSetting({
    default: 2000,
    min: 1,
    max: MAX_TIMEOUT_MS,
    meaning: 'milliseconds within which Redis must accept a connection',
  })
  REDIS_CONNECT_TIMEOUT_MS!: number;

  @IntegerSetting({
    default: 64 * MiB,
    min: 1,
    max: 512 * MiB,
    meaning: 'maximum bytes of a value; a longer value is an error and is never read into memory',
  })
  REDIS_MAX_VALUE_BYTES!: number;
}

/** Returns whether an address contains no password. Text before an @ or after a ? may be one if it cannot be parsed. */
function hasNoPassword(address: string): boolean {
  const url = parseRedisUrl(address);
  return url === undefined ? !/[@?]/.test(address) : url.password === undefined;
}
