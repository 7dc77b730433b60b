/** Where a Redis or a sentinel listens. */
export interface RedisNode {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Takes `host:port,[IPv6]:port,…` apart; undefined when it is something else. */
export function parseRedisNodes(text: string): readonly RedisNode[] | undefined {
  const nodes = text.split(',').map(parseNode);
  return nodes.every((node) => node !== undefined) ? nodes : undefined;
}

function parseNode(text: string): RedisNode | undefined {
  const [, v6, name, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
