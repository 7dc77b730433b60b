/** Write commands of Redis and its modules, which a read-only proxy rejects with READONLY. */
export const WRITE_COMMANDS: ReadonlySet<string> = new Set(
  `append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy decr decrby del delex expire
  expireat flushall flushdb geoadd georadius georadiusbymember geosearchstore getdel getset hdel hexpire hexpireat
  hgetdel hgetex hincrby hincrbyfloat hmset hpersist hpexpire hpexpireat hset hsetex hsetnx incr incrby incrbyfloat linsert
  lmove lmpop lpop lpush lpushx lrem lset ltrim migrate move mset msetex msetnx persist pexpire pexpireat pfadd pfdebug
  pfmerge psetex rename renamenx restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set setbit setex setnx
  setrange sinterstore smove sort spop srem sunionstore swapdb unlink xack xackdel xadd xautoclaim xclaim xdel xdelex xgroup
  xreadgroup xsetid xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem zremrangebylex
  zremrangebyrank zremrangebyscore zunionstore vadd vrem vsetattr`.split(/\s+/),
);

/**
 * Other commands of Redis and its modules that are not supported, and unsupported subcommands of supported commands
 * (`command|subcommand`).
 */
export const UNSUPPORTED_COMMANDS: ReadonlySet<string> = new Set(
  `acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|list acl|load acl|log acl|save acl|setuser acl|users asking
  bgrewriteaof bgsave bitfield_ro client|kill client|pause client|reply client|unblock client|unpause cluster
  config|resetstat config|rewrite config|set debug digest dump eval eval_ro evalsha evalsha_ro failover fcall fcall_ro
  function georadius_ro georadiusbymember_ro hexpiretime hpexpiretime hpttl hrandfield hscan httl keys lastsave
  latency lcs lolwut memory monitor object pfcount pfselftest psubscribe psync publish pubsub punsubscribe
  randomkey replconf replicaof save scan script sdiff shutdown sinter sintercard slaveof slowlog sort_ro spublish
  srandmember sscan ssubscribe subscribe sunion sunsubscribe sync unsubscribe vcard vdim vemb vgetattr vinfo vismember
  vlinks vrandmember vrange vsim wait waitaof xinfo xpending xread zdiff zinter zintercard zrandmember zscan zunion
  bf.exists bf.info bf.mexists cf.exists cf.info cms.query ft.aggregate ft.info ft.search json.arrindex json.arrappend
  json.del json.merge json.mset json.numincrby json.set bf.add ft.create ts.add json.resp ts.get ts.info ts.mget
  ts.mrange ts.range`.split(/\s+/),
);
