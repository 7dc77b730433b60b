/*
 * HTTP's times are whole seconds (RFC 9111, section 1.2.2). An age is rounded up and a lifetime down, so that `max-age`
 * less `Age` is never more than what a value has left.
 */

/** Rounds an age in milliseconds, 0 or more, up to whole seconds. */
export function ageSeconds(ageMs: number): number {
  return Math.ceil(ageMs / 1000);
}

/** Rounds a lifetime, or what is left of one, in milliseconds, down to whole seconds; below 0: it is over. */
export function lifetimeSeconds(lifetimeMs: number): number {
  return Math.floor(lifetimeMs / 1000);
}
