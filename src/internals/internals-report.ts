import { Logger } from '@nestjs/common';
import type { InternalPartName, InternalPartState } from './internal-part.ts';

/** Logs which private parts of Node.js and ioredis the threads use: one line at start and one for each later change. */
export class InternalsReport {
  readonly #logger = new Logger('Internals');
  /** The states that have been logged. */
  readonly #logged = new Map<string, string>();

  report(states: Readonly<Record<InternalPartName, InternalPartState>>): void {
    const parts = Object.entries(states);
    if (this.#logged.size === 0) this.#logSummary(parts);
    else for (const [name, state] of parts) if (this.#isUnlogged(name, state)) this.#logChange(name, state);
    for (const [name, state] of parts) this.#logged.set(name, textOf(state));
  }

  #logSummary(parts: readonly (readonly [string, InternalPartState])[]): void {
    const used = parts.flatMap(([name, { inUse }]) => (inUse ? [name] : []));
    const unused = parts.flatMap(([name, state]) => (state.inUse ? [] : [`${name} (${state.reason})`]));
    const text = [
      `private parts of Node.js and ioredis in use: ${used.join(', ') || 'none'}`,
      ...(unused.length === 0 ? [] : [`not in use: ${unused.join(', ')}`]),
    ].join('; ');
    if (parts.some(([, state]) => isUnexpected(state))) this.#logger.warn(text);
    else this.#logger.log(text);
  }

  #logChange(name: string, state: InternalPartState): void {
    if (state.inUse) this.#logger.log(`private part ${name} enabled again`);
    else this.#logger.warn(`private part ${name} disabled (${state.reason}); using public API`);
  }

  /** Returns whether a state has not been logged yet. Threads differ only if a part misbehaves in one of them. */
  #isUnlogged(name: string, state: InternalPartState): boolean {
    return this.#logged.get(name) !== textOf(state);
  }
}

function textOf(state: InternalPartState): string {
  return state.inUse ? 'in use' : state.reason;
}

function isUnexpected(state: InternalPartState): boolean {
  return !state.inUse && state.reason !== 'NODE_INTERNALS=off';
}
