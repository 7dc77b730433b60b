/** Maximum number of bytes of a request that an error reply repeats. */
export const MAX_ECHOED_BYTES = 128;
export const READ_ONLY = "READONLY You can't write against a read only replica.";

/**
 * Whether a number of arguments matches an arity of Redis.
 *
 * @param count arguments including the command name.
 */
export function matchesArity(arity: number, count: number): boolean {
  return arity < 0 ? count >= -arity : count === arity;
}

export function wrongArguments(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

/** Unlike Redis, omits the arguments: clients log errors, and arguments may be keys or tokens. */
export function unknownCommand(name: string): string {
  return `ERR unknown command '${name}', with args beginning with: `;
}
