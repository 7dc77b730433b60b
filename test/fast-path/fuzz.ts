import fc from 'fast-check';
import { areEqual, possible } from './compare.ts';
import { type Conversation, show, showConversation } from './conversation.ts';
import { conversation } from './conversations.ts';
import { type Outcome, play, playSequentially } from './play.ts';
import type { Rivals } from './rivals.ts';

/** Milliseconds without a byte after which a client closes the connection. */
const PATIENCE_MS = 250;
/** The same for the second comparison after a difference. */
const LONG_PATIENCE_MS = 3000;
/** Maximum number of concurrent conversations. */
const CLIENTS = 200;
/** Conversations per seed. */
const RUNS = 10;
/** Requests per seed, about. */
const REQUESTS_PER_SEED = 40;
const SHRINK_MS = 90_000;

/** The progress so far. */
export interface Progress {
  requests: number;
  conversations: number;
  /** Conversations whose difference node:http itself could have caused: see `possible`. */
  raced: number;
}

export interface FuzzOptions {
  readonly rivals: readonly Rivals[];
  /** Minimum number of requests. */
  readonly requests: number;
  readonly seed: number;
  readonly prepare: () => Promise<void>;
  readonly clients?: number;
  /** Time limit for minimising a conversation that shows a difference. */
  readonly shrinkMs?: number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface FuzzResult {
  readonly progress: Progress;
  /** The first difference, minimised and formatted for humans. */
  readonly difference: string | undefined;
}

/** Plays generated conversations with both servers of each pair, and compares their responses. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { rivals, requests, seed, prepare, shrinkMs = SHRINK_MS, onProgress } = options;
  // Each client plays the conversations of one seed at least.
  const { clients = Math.min(CLIENTS, Math.ceil(requests / REQUESTS_PER_SEED)) } = options;
  const progress: Progress = { requests: 0, conversations: 0, raced: 0 };
  let difference: string | undefined;
  let finder: number | undefined;
  let deadline = Infinity;
  let nextSeed = seed;

  // Pairs that serve one client at a time get fewer conversations.
  const pair = fc.oneof(
    ...rivals.map(({ clients }, i) => ({ weight: clients === 1 ? 1 : 6, arbitrary: fc.constant(i) })),
  );
  const queues = rivals.map(({ clients }) => (clients === 1 ? oneByOne() : atOnce));

  async function run(client: number): Promise<void> {
    const property = fc.asyncProperty(pair, conversation, async (pair, conversation) => {
      if (finder !== undefined && (finder !== client || performance.now() > deadline)) return true;
      await prepare();
      const found = await queues[pair](() => differenceIn(rivals[pair], conversation, progress));
      if (found === undefined || (finder ?? client) !== client) return true;
      if (finder === undefined) deadline = performance.now() + shrinkMs;
      finder = client;
      difference = found;
      return false;
    });
    while (progress.requests < requests && finder === undefined) {
      await fc.check(property, { seed: nextSeed++, numRuns: RUNS });
      onProgress?.(progress);
    }
  }

  await Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
  return { progress, difference };
}

type Queue = <T>(task: () => Promise<T>) => Promise<T>;

const atOnce: Queue = (task) => task();

function oneByOne(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => undefined);
    return result;
  };
}

/** Formats the difference for humans; undefined if the responses are the same. */
async function differenceIn(
  rivals: Rivals,
  conversation: Conversation,
  progress: Progress,
): Promise<string | undefined> {
  progress.conversations++;
  progress.requests += conversation.messages.length + 1;
  let [fastPath, plain] = await playBoth(rivals, conversation, PATIENCE_MS);
  if (areEqual(fastPath, plain)) return undefined;
  progress.raced++;
  const sequential = await playSequentially(rivals.plain, conversation, LONG_PATIENCE_MS);
  if (possible(fastPath, sequential)) return undefined;
  // A client that times out sees less; only such a difference may disappear in the second comparison.
  if ([fastPath, plain].some(({ endedBy }) => endedBy === 'client')) {
    [fastPath, plain] = await playBoth(rivals, conversation, LONG_PATIENCE_MS);
    if (areEqual(fastPath, plain)) return undefined;
    if (possible(fastPath, sequential)) return undefined;
  }
  return [
    `the fast path says something else than node:http, ${rivals.name}`,
    showConversation(conversation),
    ...showOutcome('with the fast path', fastPath),
    ...showOutcome('without', plain),
    ...showOutcome('without, each request after the answer to the one before', sequential),
  ].join('\n');
}

function playBoth(
  { fastPath, plain }: Rivals,
  conversation: Conversation,
  timeoutMs: number,
): Promise<[Outcome, Outcome]> {
  return Promise.all([play(fastPath, conversation, timeoutMs), play(plain, conversation, timeoutMs)]);
}

function showOutcome(title: string, { received, endedBy, afterEnd, closed }: Outcome): string[] {
  const end = `ended by the ${endedBy}${closed ? '' : ', and not closed by the server then'}`;
  return [`=== ${title}: ${end}`, show(received), ...(afterEnd === '' ? [] : ['--- after the end', show(afterEnd)])];
}
