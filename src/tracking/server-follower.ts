import type { LoggerService } from '@nestjs/common';
import type { Settings } from '../config/settings.ts';
import type { ThreadContext } from '../instance/thread-context.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';
import type { ReadServer, ServerList } from '../redis/masters.ts';
import type { RedisLogins } from '../redis/redis-logins.ts';

/** Dependencies of a {@link ServerFollower}. */
export interface FollowerParts {
  readonly settings: Settings;
  readonly memory: ThreadContext;
  readonly logger: Pick<LoggerService, 'log' | 'warn'>;
  /** Absent: the credentials in the settings. */
  readonly logins?: RedisLogins;
  /** The servers that keys are loaded from; absent: all masters. */
  readonly servers?: ServerList | undefined;
}

/** Receives messages of the servers that keys are loaded from, and applies them to the cache, until it is stopped. */
export interface ServerFollower {
  /** Must be called when a node has redirected a thread's connection to the node's own address. */
  replace(node: ReplacedNode): void;
  stop(): void;
}

/** Calls `follow` of `connections` with the servers, once they are known and whenever they change. */
export function followServers(
  servers: ServerList,
  connections: { follow(servers: readonly ReadServer[]): void; stop(): void },
): ServerFollower {
  servers.watch((all) => connections.follow(all));
  return {
    replace: (node) => servers.replace(node),
    stop: () => {
      servers.close();
      connections.stop();
    },
  };
}
