/** What an error repeats of a request. */
export const MAX_REPEATED = 128;
export const READ_ONLY = "READONLY You can't write against a read only replica.";

/** Whether so many arguments, the name included, are as many as an arity says. */
export function fits(arity: number, count: number): boolean {
  return arity < 0 ? count >= -arity : count === arity;
}

export function wrongArguments(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

/** Redis repeats the arguments; here keys and tokens stand in no error, as clients write errors to their logs. */
export function unknownCommand(name: string): string {
  return `ERR unknown command '${name}', with args beginning with: `;
}
