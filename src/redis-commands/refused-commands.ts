import { type InstanceMemory, SHARED_COUNTS } from '../instance/instance-memory.ts';
import { UNSUPPORTED_COMMANDS, WRITE_COMMANDS } from './command-names.ts';

/** How commands arrive. */
const COMMAND_TRANSPORTS = ['resp', 'upstash'] as const;
export type CommandTransport = (typeof COMMAND_TRANSPORTS)[number];

/** What is counted for every command that is in none of the lists, so that clients cannot make names up. */
const OTHER = 'other';
/** `getex` with options and `select` of another database are refused, although these commands are served. */
const NAMES: readonly string[] = [OTHER, 'getex', 'select', ...WRITE_COMMANDS, ...UNSUPPORTED_COMMANDS];
const INDICES: ReadonlyMap<string, number> = new Map(NAMES.map((name, index) => [name, index]));
if (COMMAND_TRANSPORTS.length * NAMES.length > SHARED_COUNTS) throw new Error('too many commands to be counted');

/** Commands that were refused because the proxy does not serve them. */
export interface RefusedCommand {
  readonly transport: CommandTransport;
  /** In small letters; a subcommand after its container and a `|`. */
  readonly command: string;
  readonly times: number;
}

/** Counts refused commands by their names, for all threads. */
export class RefusedCommands {
  readonly #counts: BigUint64Array;

  constructor({ sharedCounts }: InstanceMemory) {
    this.#counts = sharedCounts;
  }

  /** @param name in small letters; a subcommand after its container and a `|`. */
  count(transport: CommandTransport, name: string): void {
    Atomics.add(this.#counts, indexOf(transport, INDICES.get(name) ?? 0), 1n);
  }

  /** The commands that were refused at least once, and `other`. */
  all(): readonly RefusedCommand[] {
    return COMMAND_TRANSPORTS.flatMap((transport) =>
      NAMES.map((command, index) => {
        const times = Number(Atomics.load(this.#counts, indexOf(transport, index)));
        return { transport, command, times };
      }).filter(({ command, times }) => times > 0 || command === OTHER),
    );
  }
}

function indexOf(transport: CommandTransport, name: number): number {
  return COMMAND_TRANSPORTS.indexOf(transport) * NAMES.length + name;
}
