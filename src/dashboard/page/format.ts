const NOTHING = '–';
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const upToOne = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** Formats a count: `1,234`, or for large ones `123.5 k` and `4.5 M`. */
export function count(value: number | null): string {
  if (value === null) return NOTHING;
  if (value >= 1e6) return `${upToOne.format(value / 1e6)} M`;
  if (value >= 1e5) return `${upToOne.format(value / 1e3)} k`;
  return whole.format(value);
}

/** Formats a rate per second, with a decimal below ten. */
export function rate(value: number | null): string {
  return value !== null && value < 10 ? upToOne.format(value) : count(value);
}

/** Formats a ratio. @param value 0 to 1. */
export function percent(value: number | null): string {
  if (value === null) return NOTHING;
  // Never rounds up to 100 %.
  const shown = value < 1 ? Math.min(value * 100, 99.9) : 100;
  return `${upToOne.format(shown)} %`;
}

/** Formats a short duration: `240 µs`, `1.3 ms`, `2.5 s`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return NOTHING;
  if (seconds < 0.001) return `${whole.format(seconds * 1e6)} µs`;
  if (seconds < 1) return `${upToOne.format(seconds * 1e3)} ms`;
  return `${upToOne.format(seconds)} s`;
}

/** Formats a number of bytes: `16 B`, `1.5 KiB`, `256 MiB`. */
export function bytes(value: number): string {
  let [scaled, unit] = [value, 'B'];
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (scaled < 1024) break;
    [scaled, unit] = [scaled / 1024, larger];
  }
  return `${upToOne.format(scaled)} ${unit}`;
}

/** Formats a long duration in its two largest units: `3 d 4 h`, `12 min 5 s`. */
export function longTime(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.floor(seconds);
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const units = Math.floor(rest / length);
    rest -= units * length;
    if (units > 0 || parts.length > 0) parts.push(`${units} ${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0 s';
}

/** Formats the time of day. @param at Unix time in seconds. */
export function timeOfDay(at: number): string {
  return clock.format(at * 1000);
}
