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

/**
 * Returns the error for an unknown command. As in Redis, it repeats the arguments until their text has
 * {@link MAX_ECHOED_BYTES} bytes, and each only up to its first zero byte.
 *
 * @param args one character per byte is used; none if they must not be repeated.
 */
export function unknownCommand(name: string, args: readonly Buffer[] = []): string {
  let echoed = '';
  for (const arg of args) {
    if (echoed.length >= MAX_ECHOED_BYTES) break;
    echoed += `'${untilZero(arg.toString('latin1', 0, MAX_ECHOED_BYTES - echoed.length))}' `;
  }
  return `ERR unknown command '${untilZero(name)}', with args beginning with: ${echoed}`;
}

export function unknownSubcommand(command: string, subcommand: string): string {
  return `ERR unknown subcommand '${untilZero(subcommand)}'. Try ${command.toUpperCase()} HELP.`;
}

function untilZero(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
