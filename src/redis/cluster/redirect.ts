import { isSlot } from './cluster-view.ts';

/** Where a node of a cluster says that a key is to be asked for. */
export interface Redirect {
  /** moved: from now on; ask: this once, as the slot is on its way there. */
  readonly kind: 'moved' | 'ask';
  readonly slot: number;
  /** Empty: the host of the node that says so. */
  readonly host: string;
  readonly port: number;
}

/** Takes `MOVED slot host:port` and `ASK slot host:port` apart; undefined when it is something else. */
export function redirectIn(message: string): Redirect | undefined {
  const [, word, slot, host, port] = /^(MOVED|ASK) (\d{1,5}) (.*):(\d{1,5})$/.exec(message) ?? [];
  if (word === undefined || !isSlot(Number(slot))) return undefined;
  return { kind: word === 'ASK' ? 'ask' : 'moved', slot: Number(slot), host, port: Number(port) };
}
