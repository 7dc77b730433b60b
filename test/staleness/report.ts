export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Result of a run. */
export interface StalenessReport {
  readonly seed: number;
  readonly writes: number;
  readonly reads: number;
  readonly seconds: number;
  /** How often the proxy lost the invalidation stream. */
  readonly losses: number;
  /** Reads by clients with a cache of their own, most of them served by that, and the invalidation messages sent to them. */
  readonly cachedReads: number;
  readonly pushes: number;
  /** Reads that returned a value that the key never had. */
  readonly wrong: readonly string[];
  /** Staleness of all writes: how long after its acknowledgement the last read started that returned the old value. */
  readonly delaysMs: Percentiles;
  /** The same for the reads of clients with a cache of their own. */
  readonly cachedDelaysMs: Percentiles;
  /** Latency of reads, which shows how busy the machine was. */
  readonly latenciesMs: Percentiles;
}

/** Formats the result of a run as Markdown. */
export function asMarkdown({
  seed,
  writes,
  reads,
  seconds,
  losses,
  cachedReads,
  pushes,
  wrong,
  delaysMs,
  cachedDelaysMs,
  latenciesMs,
}: StalenessReport): string {
  const cells = ({ p50, p99, p999, max }: Percentiles): string =>
    [p50, p99, p999, max].map((ms) => ms.toFixed(ms < 10 ? 1 : 0)).join(' | ');
  const [writeCount, readCount, cachedCount, pushCount] = [writes, reads, cachedReads, pushes].map((count) =>
    count.toLocaleString('en'),
  );
  return [
    `Seed ${seed}, ${process.version}: ${writeCount} writes and ${readCount} reads in ${seconds.toFixed(0)} s; the stream was lost`,
    `${losses} times; ${wrong.length} reads returned a value that the key never had. Clients with a cache of their own made ${cachedCount} reads`,
    `and received ${pushCount} invalidation messages.`,
    '',
    '| | p50 | p99 | p99.9 | maximum |',
    '| --- | --- | --- | --- | --- |',
    `| delay, ms | ${cells(delaysMs)} |`,
    `| delay of clients with a cache, ms | ${cells(cachedDelaysMs)} |`,
    `| duration of a read, ms | ${cells(latenciesMs)} |`,
    ...wrong.map((read) => `- ${read}`),
  ].join('\n');
}
