/** The address of a Redis or a sentinel. */
export interface RedisNode {
  /** A host name or an IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Parses `host:port,[IPv6]:port,…`; returns undefined if the text has another form. */
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
