import type { DashboardSnapshot } from '../dashboard-snapshot.ts';
import { type Condition, circuitCondition, coherenceCondition, redisCondition } from './conditions.ts';
import { setText } from './element.ts';

const WATCHED: readonly (readonly [name: string, of: (tick: DashboardSnapshot) => Condition])[] = [
  ['Redis', redisCondition],
  ['Circuit', circuitCondition],
  ['Coherence', coherenceCondition],
];

/** Tells those who listen to the page what has changed, and only that: figures change every second. */
export class Announcements {
  readonly #states = new Map<string, string>();
  #live: boolean | undefined;

  hear(tick: DashboardSnapshot): void {
    const news: string[] = [];
    for (const [name, of] of WATCHED) {
      const { state, meaning } = of(tick);
      const before = this.#states.get(name);
      this.#states.set(name, state);
      if (before !== undefined && before !== state) news.push(`${name} is ${state}: ${meaning}.`);
    }
    if (news.length > 0) setText('announcements', news.join(' '));
  }

  pulse(live: boolean, silentMs: number | undefined): void {
    if (silentMs === undefined || live === this.#live) return;
    if (this.#live !== undefined) setText('announcements', live ? 'Live again.' : 'There is no news of the proxy.');
    this.#live = live;
  }
}
