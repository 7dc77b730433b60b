import { type InstanceMemory, SHARED_COUNTS } from '../instance/instance-memory.ts';
import { UNSUPPORTED_COMMANDS, WRITE_COMMANDS } from './refusals.ts';

/** Transports over which clients send commands. */
const COMMAND_TRANSPORTS = ['resp', 'upstash'] as const;
export type CommandTransport = (typeof COMMAND_TRANSPORTS)[number];

/** Stands for every unknown command, so that clients cannot create label values. */
const OTHER = 'other';
/** Includes commands that are refused with some arguments, or in some states, only. */
const COUNTED_NAMES: readonly string[] = [
  OTHER,
  'getex',
  'select',
  'client|tracking',
  ...WRITE_COMMANDS,
  ...UNSUPPORTED_COMMANDS,
];
const INDICES: ReadonlyMap<string, number> = new Map(COUNTED_NAMES.map((name, index) => [name, index]));
if (COMMAND_TRANSPORTS.length * COUNTED_NAMES.length > SHARED_COUNTS)
  throw new Error('SHARED_COUNTS is too small for all commands');

/** How often a command was refused because the proxy does not support it. */
export interface RefusedCommand {
  readonly transport: CommandTransport;
  /** Lower case; for a subcommand, `container|subcommand`. */
  readonly command: string;
  readonly times: number;
}

/** Counts refused commands by name, in memory that all threads share. */
export class RefusedCommands {
  readonly #counts: BigUint64Array;

  constructor({ sharedCounts }: InstanceMemory) {
    this.#counts = sharedCounts;
  }

  /** @param name lower case; for a subcommand, `container|subcommand`. */
  count(transport: CommandTransport, name: string): void {
    Atomics.add(this.#counts, indexOf(transport, INDICES.get(name) ?? 0), 1n);
  }

  /** Returns the commands that were refused at least once, and `other`. */
  all(): readonly RefusedCommand[] {
    return COMMAND_TRANSPORTS.flatMap((transport) =>
      COUNTED_NAMES.map((command, index) => {
        const times = Number(Atomics.load(this.#counts, indexOf(transport, index)));
        return { transport, command, times };
      }).filter(({ command, times }) => times > 0 || command === OTHER),
    );
  }
}

function indexOf(transport: CommandTransport, name: number): number {
  return COMMAND_TRANSPORTS.indexOf(transport) * COUNTED_NAMES.length + name;
}
