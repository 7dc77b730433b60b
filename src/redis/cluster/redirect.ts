import { isSlot } from './slot-map.ts';

/** A redirect of a cluster node to the node that serves a key. */
export interface Redirect {
  /** `moved`: permanent; `ask`: for one command, while the slot is being migrated. */
  readonly kind: 'moved' | 'ask';
  readonly slot: number;
  /** Empty: the host of the redirecting node. */
  readonly host: string;
  readonly port: number;
}

/** Parses `MOVED slot host:port` and `ASK slot host:port`; returns undefined for any other message. */
export function redirectIn(message: string): Redirect | undefined {
  const [, word, slot, host, port] = /^(MOVED|ASK) (\d{1,5}) (.*):(\d{1,5})$/.exec(message) ?? [];
  if (word === undefined || !isSlot(Number(slot))) return undefined;
  return { kind: word === 'ASK' ? 'ask' : 'moved', slot: Number(slot), host, port: Number(port) };
}
