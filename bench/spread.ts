/** Formats values as their median, with minimum and maximum in parentheses. */
export function spread(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b).map((value) => value.toFixed(digits));
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`;
}

/** Formats a table row: number of threads, rate and cost. */
export function row(
  threads: number,
  rates: readonly number[],
  rateUnit: string,
  costs: readonly number[],
  costUnit: string,
  digits: number,
): string {
  return `| ${threads} | ${spread(rates, 2)} ${rateUnit} | ${spread(costs, digits)} ${costUnit} |`;
}

/** Returns the median; for an even number of values the upper of the middle two, as in {@link spread}. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
