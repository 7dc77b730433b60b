/** A cluster node whose address was taken over by another node, while connections to it still work. */
export interface ReplacedNode {
  /** `host:port` of both. */
  readonly address: string;
  /** Id of the replaced node; empty if unknown. */
  readonly id: string;
  /** How it was detected: by a redirect of the node to its own address, or by another id in CLUSTER SLOTS. */
  readonly cause: 'redirect' | 'id';
}
