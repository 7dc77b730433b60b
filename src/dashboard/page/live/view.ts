import type { DashboardSnapshot } from '../../dashboard-snapshot.ts';
import {
  type Condition,
  type Level,
  asUnknown,
  circuitCondition,
  coherenceCondition,
  purgeChannelCondition,
  readSourceCondition,
  redisCondition,
  threadsCondition,
  warmupCondition,
} from './conditions.ts';
import { element, setText } from '../element.ts';
import { bytes, count, duration, longTime, percent, rate } from '../format.ts';
import type { Sample } from './history.ts';

/** Shows a snapshot and the rates since the previous one. */
export function showMetrics(snapshot: DashboardSnapshot, sample: Sample): void {
  showConditions(snapshot);
  showReads(snapshot, sample);
  showLoads(snapshot, sample);
  showCache(snapshot, sample);
  setText('version', `version ${snapshot.version}`);
  showTokenFields(snapshot.auth);
}

/** Shows whether the page is connected to the proxy. */
export function showConnection(live: boolean, silentMs: number | undefined): void {
  const state = element('live', HTMLElement);
  state.dataset.level = (live ? 'good' : silentMs === undefined ? 'warning' : 'bad') satisfies Level;
  const status = silentMs === undefined ? 'Connecting …' : `Connection lost ${longTime(silentMs / 1000)} ago`;
  setText('live-text', live ? 'Live' : status);
  const isLost = !live && silentMs !== undefined;
  document.body.classList.toggle('out-of-date', isLost);
  if (isLost) for (const [id, condition] of shown) showCondition(id, asUnknown(condition));
}

/** The conditions of the latest snapshot, by the id of their element. */
const shown = new Map<string, Condition>();

function showConditions(snapshot: DashboardSnapshot): void {
  const { open, max } = snapshot.connections;
  const level = open >= max ? 'bad' : open > max * 0.9 ? 'warning' : 'good';
  shown.set('redis', redisCondition(snapshot));
  shown.set('circuit', circuitCondition(snapshot));
  showIfPresent('read-source', readSourceCondition(snapshot));
  shown.set('coherence', coherenceCondition(snapshot));
  showIfPresent('purge-channel', purgeChannelCondition(snapshot));
  showIfPresent('warmup', warmupCondition(snapshot));
  shown.set('threads', threadsCondition(snapshot));
  shown.set('connections', { level, state: count(open), meaning: `of ${count(max)}` });
  shown.set('uptime', { level: 'good', state: longTime(snapshot.uptimeSeconds), meaning: 'since the start' });
  for (const [id, condition] of shown) showCondition(id, condition);
}

/** Shows the condition of a part that not every proxy has. */
function showIfPresent(id: string, condition: Condition | undefined): void {
  element(id, HTMLElement).hidden = condition === undefined;
  if (condition === undefined) shown.delete(id);
  else shown.set(id, condition);
}

function showCondition(id: string, { level, state, meaning }: Condition): void {
  element(id, HTMLElement).dataset.level = level;
  setText(`${id}-state`, state);
  setText(`${id}-meaning`, meaning);
}

function showReads({ reads }: DashboardSnapshot, sample: Sample): void {
  const all = sample.reads === null ? null : Object.values(sample.reads).reduce((sum, each) => sum + each, 0);
  setText('reads', rate(all));
  const since = Object.entries(reads).map(([transport, outcomes]) => {
    const total = Object.values(outcomes).reduce((sum, each) => sum + each, 0);
    return [transport, total] as const;
  });
  const used = since.filter(([transport, total]) => total > 0 || transport === 'http');
  setText(
    'reads-note',
    used.map(([transport, total]) => `${count(total)} ${NAMES[transport] ?? transport}`).join(', '),
  );
  setText('ratio', percent(sample.hitRatio));
}

const NAMES: Readonly<Record<string, string>> = {
  http: 'over HTTP',
  resp: 'over the Redis protocol',
  upstash: "over Upstash's REST API",
};

function showLoads({ loads, cache }: DashboardSnapshot, sample: Sample): void {
  const lookups = cache.hits + cache.misses + cache.collapsed;
  setText('ratio-note', `${percent(lookups === 0 ? null : cache.hits / lookups)} since the start`);
  setText('latency', duration(sample.p99));
  setText('latency-note', sample.p99 === null ? 'no loads completed' : `p99; p50 ${duration(sample.median)}`);
  setText('loads', rate(sample.loads));
  setText(
    'loads-note',
    `${count(loads.inFlight)} in flight, ${count(loads.queued)} queued, ${rate(sample.failedLoads)}/s failed (${count(loads.errors)} since the start)`,
  );
}

function showCache({ cache }: DashboardSnapshot, sample: Sample): void {
  setText('entries', count(cache.entries));
  setText('entries-note', `of ${count(cache.capacity)}`);
  fill('entries-meter', cache.entries, cache.capacity);
  setText('bytes', bytes(cache.bytes));
  setText('bytes-note', `of ${bytes(cache.maxBytes)}`);
  fill('bytes-meter', cache.bytes, cache.maxBytes);
  setText('evictions', rate(sample.evictions?.evicted ?? null));
  setText('evictions-note', `${count(cache.evictions.capacity + cache.evictions.bytes)} since the start`);
}

function fill(id: string, value: number, max: number): void {
  const meter = element(id, HTMLMeterElement);
  meter.max = max;
  meter.value = value;
}

/** Shows the token fields only if the proxy uses these tokens. */
function showTokenFields({ tokenRequired, adminEnabled }: DashboardSnapshot['auth']): void {
  element('access-field', HTMLElement).hidden = !tokenRequired;
  element('admin-tools', HTMLElement).hidden = !adminEnabled;
  element('hot-keys', HTMLElement).hidden = !adminEnabled;
  element('admin-off', HTMLElement).hidden = adminEnabled;
}
