import { READ_ONLY } from './error-replies.ts';
import { WRITE_COMMANDS } from './command-names.ts';

const LISTING = 'this proxy serves keys that clients name and cannot list the keys of Redis; list them in Redis itself';
const SEVERAL_KEYS = 'this proxy caches reads of one key; read each key by itself, or send the command to Redis itself';
const MESSAGES = 'this proxy relays no messages; subscribe in Redis itself';
const SCRIPTS =
  'this proxy executes no scripts, which may write; send commands that read, or run the script in Redis itself';
const SERVER = 'this proxy serves reads of keys, and administers no Redis; send the command to Redis itself';
const OTHER = 'its reply is not cached; send the command to Redis itself';

/** Why commands of Redis are not supported, and what to use instead, by lower-case name. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ...of(LISTING, 'scan keys randomkey'),
  ...of(cursor('HGETALL, HKEYS or HMGET'), 'hscan'),
  ...of(cursor('SMEMBERS or SMISMEMBER'), 'sscan'),
  ...of(cursor('ZRANGE'), 'zscan'),
  ...of(random('HKEYS or HGETALL'), 'hrandfield'),
  ...of(random('SMEMBERS'), 'srandmember'),
  ...of(random('ZRANGE'), 'zrandmember'),
  ...of(SEVERAL_KEYS, 'lcs pfcount sdiff sinter sintercard sunion xread zdiff zinter zintercard zunion'),
  ...of(MESSAGES, 'psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe'),
  ...of(SCRIPTS, 'eval eval_ro evalsha evalsha_ro fcall fcall_ro function script'),
  ...of(SERVER, 'bgrewriteaof bgsave cluster debug failover lastsave latency memory monitor'),
  ...of(SERVER, 'replicaof save shutdown slaveof slowlog wait waitaof'),
  ...of(OTHER, 'dump object sort_ro'),
]);

/**
 * Returns the error reply to a command that writes, or that the proxy does not support for a reason that its users should know;
 * undefined for all other names.
 *
 * @param name lower case.
 */
export function refusalOf(name: string): string | undefined {
  if (WRITE_COMMANDS.has(name)) return READ_ONLY;
  const reason = REASONS.get(name);
  return reason === undefined ? undefined : `ERR ${name.toUpperCase()} is not supported: ${reason}`;
}

function of(reason: string, names: string): readonly (readonly [string, string])[] {
  return names.split(' ').map((name) => [name, reason] as const);
}

function cursor(commands: string): string {
  return `replies to cursors cannot be cached; use ${commands}`;
}

function random(commands: string): string {
  return `random replies cannot be cached; use ${commands} and choose from the reply, or send the command to Redis itself`;
}
