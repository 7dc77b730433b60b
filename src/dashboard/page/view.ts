import type { DashboardSnapshot } from '../dashboard-snapshot.ts';
import {
  type Condition,
  type Level,
  asUnknown,
  circuitCondition,
  coherenceCondition,
  redisCondition,
  threadsCondition,
} from './conditions.ts';
import { element, setText } from './element.ts';
import { bytes, count, duration, longTime, percent, rate } from './format.ts';
import type { Sample } from './history.ts';

/** Writes the figures of a tick, and of what has happened since the one before. */
export function showFigures(tick: DashboardSnapshot, sample: Sample): void {
  showConditions(tick);
  showReads(tick, sample);
  showLoads(tick, sample);
  showCache(tick, sample);
  setText('version', `version ${tick.version}`);
  showDoors(tick.doors);
}

/** Says whether the figures are those of now. */
export function showPulse(live: boolean, silentMs: number | undefined): void {
  const state = element('live', HTMLElement);
  state.dataset.level = (live ? 'good' : silentMs === undefined ? 'warning' : 'bad') satisfies Level;
  const silence = silentMs === undefined ? 'Connecting …' : `No news for ${longTime(silentMs / 1000)}`;
  setText('live-text', live ? 'Live' : silence);
  const isLost = !live && silentMs !== undefined;
  document.body.classList.toggle('out-of-date', isLost);
  if (isLost) for (const [id, condition] of shown) showCondition(id, asUnknown(condition));
}

/** The conditions of the latest tick, by the id of their element. */
const shown = new Map<string, Condition>();

function showConditions(tick: DashboardSnapshot): void {
  const { open, max } = tick.connections;
  const level = open >= max ? 'bad' : open > max * 0.9 ? 'warning' : 'good';
  shown.set('redis', redisCondition(tick));
  shown.set('circuit', circuitCondition(tick));
  shown.set('coherence', coherenceCondition(tick));
  shown.set('threads', threadsCondition(tick));
  shown.set('connections', { level, state: count(open), meaning: `of ${count(max)}` });
  shown.set('uptime', { level: 'good', state: longTime(tick.uptimeSeconds), meaning: 'since the start' });
  for (const [id, condition] of shown) showCondition(id, condition);
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
  const asked = cache.hits + cache.misses + cache.collapsed;
  setText('ratio-note', `${percent(asked === 0 ? null : cache.hits / asked)} since the start`);
  setText('latency', duration(sample.p99));
  setText('latency-note', sample.p99 === null ? 'no load was answered' : `p99; p50 ${duration(sample.median)}`);
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
  setText('evictions', rate(sample.dropped?.evicted ?? null));
  setText('evictions-note', `${count(cache.dropped.capacity + cache.dropped.bytes)} since the start`);
}

function fill(id: string, value: number, most: number): void {
  const meter = element(id, HTMLMeterElement);
  meter.max = most;
  meter.value = value;
}

/** Asks for tokens where they are of use, and only there. */
function showDoors({ readsNeedToken, admin }: DashboardSnapshot['doors']): void {
  element('access-field', HTMLElement).hidden = !readsNeedToken;
  element('admin-tools', HTMLElement).hidden = !admin;
  element('admin-off', HTMLElement).hidden = admin;
}
