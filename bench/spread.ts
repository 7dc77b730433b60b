/** The median, and the least and the most. */
export function spread(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b).map((value) => value.toFixed(digits));
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`;
}

/** A line of a table: so many threads, a rate and a cost. */
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

/** The median; of an even number of values the upper one of the two in the middle, as in {@link spread}. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
