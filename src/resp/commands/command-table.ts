import { MAX_ECHOED_BYTES, unknownCommand, unknownSubcommand } from '../../redis-commands/error-replies.ts';
import type { RespCommand, Executable } from './resp-command.ts';

/** The command of a request, with its arguments. */
export interface Resolved {
  readonly command: Executable;
  readonly args: readonly Buffer[];
}

/** A request for an unknown command. */
export interface Unresolved {
  /** The unknown name in lower case; for a subcommand, `container|subcommand`. */
  readonly name: string;
  readonly error: string;
}

/** All commands by name. */
export class CommandTable {
  readonly #commands = new Map<string, RespCommand>();

  get size(): number {
    return this.#commands.size;
  }

  add(commands: readonly RespCommand[]): void {
    for (const command of commands) this.#commands.set(command.name, command);
  }

  /** Returns the command of this name, in any case. */
  get(name: string): RespCommand | undefined {
    return this.#commands.get(name.toLowerCase());
  }

  /** Returns the command, or the subcommand (`container|subcommand`), of this name, in any case. */
  find(name: string): RespCommand | Executable | undefined {
    const [container, subcommand] = name.toLowerCase().split('|');
    const command = this.#commands.get(container);
    return subcommand === undefined ? command : command?.subcommands?.get(subcommand);
  }

  all(): readonly RespCommand[] {
    return [...this.#commands.values()];
  }

  withSubcommands(): readonly Executable[] {
    return this.all().flatMap((command) => [command, ...(command.subcommands?.values() ?? [])]);
  }

  /** Finds the command or subcommand of a request. */
  resolve(request: readonly Buffer[]): Resolved | Unresolved {
    const name = textOf(request[0]);
    const command = this.get(name);
    if (command === undefined) return { name: name.toLowerCase(), error: unknownCommand(name, request.slice(1)) };
    if (command.subcommands === undefined || request.length === 1) return { command, args: request.slice(1) };
    const second = textOf(request[1]);
    const subcommand = command.subcommands.get(second.toLowerCase());
    if (subcommand !== undefined) return { command: subcommand, args: request.slice(2) };
    return {
      name: `${command.name}|${second.toLowerCase()}`,
      error: unknownSubcommand(command.name, second),
    };
  }
}

function textOf(argument: Buffer): string {
  return argument.toString('latin1', 0, MAX_ECHOED_BYTES);
}
