import { READ_ONLY } from './error-replies.ts';

/** Write commands of Redis and its modules, which a read-only proxy rejects with READONLY. */
export const WRITE_COMMANDS: ReadonlySet<string> = new Set(
  `append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy decr decrby del delex expire
  expireat flushall flushdb geoadd georadius georadiusbymember geosearchstore getdel getset hdel hexpire hexpireat
  hgetdel hgetex hincrby hincrbyfloat hmset hpersist hpexpire hpexpireat hset hsetex hsetnx incr incrby incrbyfloat linsert
  lmove lmpop lpop lpush lpushx lrem lset ltrim migrate move mset msetex msetnx persist pexpire pexpireat pfadd pfdebug
  pfmerge psetex rename renamenx restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set setbit setex setnx
  setrange sinterstore smove sort spop srem sunionstore swapdb unlink xack xackdel xadd xautoclaim xclaim xdel xdelex xgroup
  xreadgroup xsetid xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem zremrangebylex
  zremrangebyrank zremrangebyscore zunionstore vadd vrem vsetattr bf.add ft.create json.arrappend json.del json.merge
  json.mset json.numincrby json.set ts.add`.split(/\s+/),
);

/**
 * Other commands of Redis and its modules that are not supported, and unsupported subcommands of supported commands
 * (`command|subcommand`).
 */
export const UNSUPPORTED_COMMANDS: ReadonlySet<string> = new Set(
  `acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|list acl|load acl|log acl|save acl|setuser acl|users asking
  bgrewriteaof bgsave bitfield_ro client|kill client|pause client|reply client|unblock client|unpause cluster
  config|resetstat config|rewrite config|set debug digest dump eval eval_ro evalsha evalsha_ro failover fcall fcall_ro
  function georadius_ro georadiusbymember_ro hexpiretime hpexpiretime hpttl hrandfield hscan httl keys lastsave latency
  lcs lolwut memory monitor object pfcount pfselftest psubscribe psync publish pubsub punsubscribe randomkey replconf
  replicaof save scan script sdiff shutdown sinter sintercard slaveof slowlog sort_ro spublish srandmember sscan
  ssubscribe subscribe sunion sunsubscribe sync unsubscribe vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember
  vrange vsim wait waitaof xinfo xpending xread zdiff zinter zintercard zrandmember zscan zunion bf.exists bf.info
  bf.mexists cf.exists cf.info cms.query ft.aggregate ft.info ft.search json.arrindex json.resp ts.get ts.info ts.mget
  ts.mrange ts.range`.split(/\s+/),
);

const LISTING = 'this proxy serves keys that clients name and cannot list the keys of Redis; list them in Redis itself';
const SEVERAL_KEYS = 'this proxy caches reads of one key; read each key by itself, or send the command to Redis itself';
const MESSAGES = 'this proxy relays no messages; subscribe in Redis itself';
const SCRIPTS =
  'this proxy executes no scripts, which may write; send commands that read, or run the script in Redis itself';
const SERVER = 'this proxy serves reads of keys, and administers no Redis; send the command to Redis itself';
const OTHER = 'its reply is not cached; send the command to Redis itself';

/** Why commands of Redis are not supported, and what to use instead, by lower-case name; {@link OTHER} for all others. */
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
]);

/**
 * Returns the error reply to a command of Redis or its modules that the proxy does not support; undefined if the name is not that
 * of such a command.
 *
 * @param name lower case.
 */
export function refusalOf(name: string): string | undefined {
  if (WRITE_COMMANDS.has(name)) return READ_ONLY;
  if (name.includes('|') || !UNSUPPORTED_COMMANDS.has(name)) return undefined;
  return `ERR ${name.toUpperCase()} is not supported: ${REASONS.get(name) ?? OTHER}`;
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
