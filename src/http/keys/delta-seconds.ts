/*
 * Delta seconds (RFC 9111, section 1.2.2) are integers. An age is rounded up and a lifetime down, so that `max-age` minus
 * `Age` never exceeds the remaining lifetime of a value.
 */

/** Rounds an age in milliseconds, 0 or more, up to whole seconds. */
export function ageSeconds(ageMs: number): number {
  return Math.ceil(ageMs / 1000);
}

/** Rounds a lifetime, or a remaining one, in milliseconds, down to whole seconds; negative if expired. */
export function lifetimeSeconds(lifetimeMs: number): number {
  return Math.floor(lifetimeMs / 1000);
}
