import { performance } from 'node:perf_hooks';
import { type ListedNode, addressOf } from '../cluster/slot-map.ts';
import { MasterOffsets, type ReplicaGrade, type ServerStatus, gradeReplica } from './replication-state.ts';
import type { ServerMonitor } from './server-monitor.ts';

/** Milliseconds between two checks of the selected server. */
const CHECK_MS = 1000;
/** Milliseconds for which a replica must be current before it replaces a master that is read. */
const SETTLED_MS = 3000;

/** The servers with the keys of one master. */
export interface Servers {
  /** Undefined if it is unknown. */
  readonly master: ListedNode | undefined;
  readonly replicas: readonly ListedNode[];
}

/** The server that was selected, if any, and why it is not a current replica. */
export type Selection =
  | { readonly role: 'replica'; readonly replica: ListedNode; readonly grade: ReplicaGrade; readonly reason: string }
  | { readonly role: 'master'; readonly master: ListedNode; readonly reason: string }
  | { readonly role: 'none'; readonly reason: string }
  /** Nothing has been selected yet. */
  | { readonly role: 'pending' };

/** Dependencies of {@link SourceSelector}. */
export interface SelectorParts {
  /** Whether the master may be read while no replica is current. */
  readonly mayReadMaster: boolean;
  /** Creates the monitor of a server, which must call `onLost` when its connection was lost. */
  readonly createMonitor: (node: ListedNode, onLost: () => void) => Pick<ServerMonitor, 'check' | 'close'>;
  /** Called when another server was selected, or when the grade of the selected replica has changed. */
  readonly onSelection: () => void;
  /** Called after each check. */
  readonly onChecked: () => void;
  /** Returns a number from 0 to 1, 1 excluded. */
  readonly random?: () => number;
  /** Returns monotonic milliseconds. */
  readonly now?: () => number;
}

/** What is known of a replica. */
interface Candidate {
  readonly node: ListedNode;
  readonly monitor: ReturnType<SelectorParts['createMonitor']>;
  status: ServerStatus;
  /** Time since when it has been current; undefined if it is not. */
  currentSince: number | undefined;
}

const NOT_CHECKED: ServerStatus = { kind: 'failed', reason: 'not checked' };

/**
 * Selects the server that the keys of one master are loaded from, in this order: a random replica that is current; the
 * master, if it may be read; the replica that lost its master last, or lags least. Checks the selected server, and the
 * master, once a second and when their connections are lost; the other replicas only while no current one is selected.
 */
export class SourceSelector {
  readonly #parts: SelectorParts;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #offsets = new MasterOffsets();
  /** Identifies the servers. */
  #keys: string | undefined;
  #candidates = new Map<string, Candidate>();
  #master: Pick<Candidate, 'node' | 'monitor' | 'status'> | undefined;
  #selection: Selection = { role: 'pending' };
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #runAgain = false;
  #closed = false;

  constructor(parts: SelectorParts) {
    this.#parts = parts;
    this.#random = parts.random ?? Math.random;
    this.#now = parts.now ?? (() => performance.now());
  }

  get selection(): Selection {
    return this.#selection;
  }

  /** Seconds by which the selected replica lags behind its master, as far as is known. */
  get lagS(): number {
    const { status } = this.#selected ?? { status: NOT_CHECKED };
    if (status.kind === 'failed') return 0;
    const { isLinkUp, silentS } = status.replication;
    return Math.max(status.lagS, isLinkUp ? 0 : silentS);
  }

  /** Uses these servers from now on; resolves once they have been checked, at once if they are the same as before. */
  async update(servers: Servers): Promise<void> {
    const keys = [servers.master, ...servers.replicas].map((node) => node && keyOf(node)).join();
    if (keys === this.#keys) return;
    this.#keys = keys;
    const listed = new Map(servers.replicas.map((node) => [keyOf(node), node]));
    for (const [key, { monitor }] of this.#candidates) {
      if (listed.has(key)) continue;
      monitor.close();
      this.#candidates.delete(key);
    }
    for (const [key, node] of listed) {
      if (this.#candidates.has(key)) continue;
      this.#candidates.set(key, {
        node,
        monitor: this.#monitor(node),
        status: NOT_CHECKED,
        currentSince: undefined,
      });
    }
    this.#updateMaster(servers.master);
    await this.refresh();
  }

  #updateMaster(node: ListedNode | undefined): void {
    if (this.#master !== undefined && node !== undefined && keyOf(node) === keyOf(this.#master.node)) return;
    this.#master?.monitor.close();
    this.#master = node && { node, monitor: this.#monitor(node), status: NOT_CHECKED };
  }

  /** Checks the servers now; resolves once that is done. */
  refresh(): Promise<void> {
    this.#runAgain = this.#running !== undefined;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { monitor } of this.#candidates.values()) monitor.close();
    this.#master?.monitor.close();
  }

  #monitor(node: ListedNode): Candidate['monitor'] {
    return this.#parts.createMonitor(node, () => void this.refresh());
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    do {
      this.#runAgain = false;
      await this.#check();
    } while (this.#runAgain && !this.#closed);
    if (!this.#closed) this.#timer = setTimeout(() => void this.refresh(), CHECK_MS).unref();
  }

  async #check(): Promise<void> {
    const masterChecked = this.#checkMaster();
    const selected = this.#selected;
    if (selected !== undefined) await this.#checkReplica(selected);
    const isCurrent = selected?.currentSince !== undefined && this.#candidates.get(keyOf(selected.node)) === selected;
    const others = [...this.#candidates.values()].filter((candidate) => candidate !== selected);
    if (isCurrent) for (const { monitor } of others) monitor.close();
    else await Promise.all(others.map((candidate) => this.#checkReplica(candidate)));
    if (!isCurrent) await masterChecked;
    if (this.#closed) return;
    this.#select();
    this.#parts.onChecked();
  }

  async #checkMaster(): Promise<void> {
    const master = this.#master;
    const reply = await master?.monitor.check();
    if (master === undefined || reply === undefined || master !== this.#master) return;
    if (reply.kind === 'failed') master.status = reply;
    else if (reply.replication.role === 'replica') master.status = { kind: 'failed', reason: 'it is a replica' };
    else {
      this.#offsets.add(reply.replication, reply.sentAt);
      master.status = { kind: 'ok', replication: reply.replication, lagS: 0 };
    }
  }

  async #checkReplica(candidate: Candidate): Promise<void> {
    const reply = await candidate.monitor.check();
    candidate.status =
      reply.kind === 'failed'
        ? reply
        : {
            kind: 'ok',
            replication: reply.replication,
            lagS: this.#offsets.lagS(reply.replication, reply.receivedAt),
          };
    const { grade } = gradeReplica(candidate.status);
    candidate.currentSince = grade === 'current' ? (candidate.currentSince ?? this.#now()) : undefined;
  }

  get #selected(): Candidate | undefined {
    return this.#selection.role === 'replica' ? this.#candidates.get(keyOf(this.#selection.replica)) : undefined;
  }

  #select(): void {
    const before = this.#selection;
    const selection = this.#choose();
    this.#selection = selection;
    if (!isSameSelection(before, selection)) this.#parts.onSelection();
  }

  #choose(): Selection {
    const candidates = [...this.#candidates.values()];
    const selected = this.#selected;
    if (selected?.currentSince !== undefined) return this.#replica(selected);
    const master = this.#parts.mayReadMaster && this.#master?.status.kind === 'ok' ? this.#master : undefined;
    const mustSettle = master !== undefined && this.#selection.role === 'master';
    const current = candidates.filter(
      ({ currentSince }) => currentSince !== undefined && (!mustSettle || this.#now() - currentSince >= SETTLED_MS),
    );
    if (current.length > 0) return this.#replica(current[Math.floor(this.#random() * current.length)]);
    const reason = this.#reason(candidates);
    if (master !== undefined) return { role: 'master', master: master.node, reason };
    const outdated = candidates
      .filter(({ status }) => gradeReplica(status).grade === 'outdated')
      .sort((a, b) => behindS(a) - behindS(b));
    if (selected !== undefined && outdated.includes(selected)) return this.#replica(selected);
    return outdated.length > 0 ? this.#replica(outdated[0]) : { role: 'none', reason };
  }

  #replica({ node, status }: Candidate): Selection {
    return { role: 'replica', replica: node, ...gradeReplica(status) };
  }

  /** Returns why no replica is current. */
  #reason(candidates: readonly Candidate[]): string {
    if (candidates.length === 0) return 'no replica is known';
    return candidates.map(({ node, status }) => `${addressOf(node)}: ${gradeReplica(status).reason}`).join('; ');
  }
}

function isSameSelection(one: Selection, other: Selection): boolean {
  if (one.role === 'replica' && other.role === 'replica') {
    return keyOf(one.replica) === keyOf(other.replica) && one.grade === other.grade;
  }
  if (one.role === 'master' && other.role === 'master') return keyOf(one.master) === keyOf(other.master);
  return one.role === other.role;
}

function behindS({ status }: Candidate): number {
  return status.kind === 'failed' ? Infinity : Math.max(status.replication.silentS, status.lagS);
}

/** Identifies a server, also among successive ones at one address. */
export function keyOf(node: ListedNode): string {
  return `${addressOf(node)} ${node.id}`;
}
