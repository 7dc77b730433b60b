/** The commands of Redis that change something, and are therefore none of a proxy that reads. */
export const WRITE_COMMANDS: ReadonlySet<string> = new Set(
  `append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy decr decrby del delex expire
  expireat flushall flushdb geoadd georadius georadiusbymember geosearchstore getdel getset hdel hexpire hexpireat
  hgetdel hgetex hincrby hincrbyfloat hmset hpersist hpexpire hpexpireat hset hsetex hsetnx incr incrby incrbyfloat linsert
  lmove lmpop lpop lpush lpushx lrem lset ltrim migrate move mset msetex msetnx persist pexpire pexpireat pfadd pfdebug
  pfmerge psetex rename renamenx restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set setbit setex setnx
  setrange sinterstore smove sort spop srem sunionstore swapdb unlink xack xackdel xadd xautoclaim xclaim xdel xdelex xgroup
  xreadgroup xsetid xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem zremrangebylex
  zremrangebyrank zremrangebyscore zunionstore`.split(/\s+/),
);
