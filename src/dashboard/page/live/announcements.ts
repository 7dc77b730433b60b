import type { DashboardSnapshot } from '../../dashboard-snapshot.ts';
import { type Condition, circuitCondition, coherenceCondition, redisCondition } from './conditions.ts';
import { setText } from '../element.ts';

const WATCHED: readonly (readonly [name: string, conditionOf: (snapshot: DashboardSnapshot) => Condition])[] = [
  ['Redis', redisCondition],
  ['Circuit', circuitCondition],
  ['Coherence', coherenceCondition],
];

/** Announces changes of state to screen readers. Metrics are not announced, because they change every second. */
export class Announcements {
  readonly #states = new Map<string, string>();
  #live: boolean | undefined;

  onSnapshot(snapshot: DashboardSnapshot): void {
    const changes: string[] = [];
    for (const [name, conditionOf] of WATCHED) {
      const { state, meaning } = conditionOf(snapshot);
      const before = this.#states.get(name);
      this.#states.set(name, state);
      if (before !== undefined && before !== state) changes.push(`${name} is ${state}: ${meaning}.`);
    }
    if (changes.length > 0) setText('announcements', changes.join(' '));
  }

  onConnection(live: boolean, silentMs: number | undefined): void {
    if (silentMs === undefined || live === this.#live) return;
    if (this.#live !== undefined)
      setText('announcements', live ? 'Reconnected to the proxy.' : 'Lost connection to the proxy.');
    this.#live = live;
  }
}
