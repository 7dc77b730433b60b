/** A node of a cluster whose address another node has taken over, while connections to it still work. */
export interface ReplacedNode {
  /** `host:port` of both. */
  readonly address: string;
  /** Its node id; empty when it is not known. */
  readonly id: string;
  /** What has shown it: a redirect of the node to its own address, or another id in CLUSTER SLOTS. */
  readonly by: 'redirect' | 'id';
}
