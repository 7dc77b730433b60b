import { matchesArity } from '../../../redis-commands/error-replies.ts';
import { keysOf } from '../../../redis-commands/key-command-table.ts';
import { type RespCommand, type Executable, type Handler, categoriesOf, subcommandsOf } from '../resp-command.ts';
import { SYNTAX_ERROR } from '../arguments.ts';
import type { CommandTable } from '../command-table.ts';
import { NamePattern } from './name-pattern.ts';
import type { ReplyWriter } from '../../protocol/reply-writer.ts';

const HELP = [
  '(no subcommand)',
  '    Return details about all Redis commands.',
  'COUNT',
  '    Return the total number of commands in this Redis server.',
  'LIST',
  '    Return a list of all commands in this Redis server.',
  'INFO [<command-name> ...]',
  '    Return details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'DOCS [<command-name> ...]',
  '    Return documentation details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'GETKEYS <full-command>',
  '    Return the keys from a full Redis command.',
  'GETKEYSANDFLAGS <full-command>',
  '    Return the keys and the access flags from a full Redis command.',
];

/** `COMMAND` and its subcommands, which describe the supported commands. */
export class IntrospectionCommands {
  readonly #table: CommandTable;

  constructor(table: CommandTable) {
    this.#table = table;
  }

  commands(): RespCommand[] {
    const flags = ['loading', 'stale'];
    const categories = ['connection'];
    return [
      {
        ...{ name: 'command', arity: -1, flags, categories, keys: [0, 0, 0], group: 'server', since: '2.8.13' },
        summary: 'Get array of Redis command details',
        run: (_args, _client, out) => this.#describe(this.#table.all(), out),
        subcommands: subcommandsOf({
          ...{ name: 'command', flags, categories, help: HELP },
          subcommands: [
            { name: 'count', arity: 2, run: (_args, _client, out) => out.integer(this.#table.size) },
            { name: 'list', arity: -2, run: (args, _client, out) => this.#list(args, out) },
            { name: 'info', arity: -2, run: (args, _client, out) => this.#describe(this.#named(args), out) },
            { name: 'docs', arity: -2, run: (args, _client, out) => this.#document(this.#named(args), out) },
            { name: 'getkeys', arity: -4, run: this.#keys((key, _command, out) => out.bulk(key)) },
            { name: 'getkeysandflags', arity: -4, run: this.#keys(writeKeyAndFlags) },
          ],
        }),
      },
    ];
  }

  #named(names: readonly Buffer[]): readonly (RespCommand | Executable | undefined)[] {
    return names.length === 0 ? this.#table.all() : names.map((name) => this.#table.find(name.toString('latin1')));
  }

  #list(args: readonly Buffer[], out: ReplyWriter): void {
    const [filterBy, by, value] = args.map((arg) => arg.toString('latin1').toLowerCase());
    if (args.length > 0 && (args.length !== 3 || filterBy !== 'filterby')) return out.error(SYNTAX_ERROR);
    const matches = args.length === 0 ? () => true : filterOf(by, value);
    if (matches === undefined) return out.error(SYNTAX_ERROR);
    const found = this.#table.withSubcommands().filter(matches);
    out.array(found.length);
    for (const { name } of found) out.bulk(name);
  }

  /** Replies with the keys of the command that the arguments form. */
  #keys(write: (key: Buffer, command: Executable, out: ReplyWriter) => void): Handler {
    return (request, _client, out) => {
      const found = this.#table.resolve(request);
      if ('error' in found) return out.error('ERR Invalid command specified');
      const { command, args } = found;
      if (command.keys[0] === 0) return out.error('ERR The command has no key arguments');
      if (!matchesArity(command.arity, request.length)) {
        return out.error('ERR Invalid number of arguments specified for command');
      }
      const keys = keysOf(command.keys, args);
      out.array(keys.length);
      for (const key of keys) write(Buffer.from(key), command, out);
    };
  }

  /** Writes command details like `COMMAND INFO` of Redis 7; tips, key specifications and subcommands are empty. */
  #describe(commands: readonly (Executable | undefined)[], out: ReplyWriter): void {
    out.array(commands.length);
    for (const command of commands) {
      if (command === undefined) {
        out.null();
        continue;
      }
      const categories = categoriesOf(command);
      out.array(10);
      out.bulk(command.name);
      out.integer(command.arity);
      out.set(command.flags.length);
      for (const flag of command.flags) out.simple(flag);
      for (const position of command.keys) out.integer(position);
      out.set(categories.length);
      for (const category of categories) out.simple(`@${category}`);
      out.array(0);
      out.array(0);
      out.array(0);
    }
  }

  #document(commands: readonly (RespCommand | Executable | undefined)[], out: ReplyWriter): void {
    const found = commands.filter((command) => command !== undefined && 'summary' in command);
    out.map(found.length);
    for (const { name, summary, since, group } of found) {
      out.bulk(name);
      out.map(3);
      for (const [field, text] of Object.entries({ summary, since, group })) {
        out.bulk(field);
        out.bulk(text);
      }
    }
  }
}

function filterOf(by: string, value: string): ((command: Executable) => boolean) | undefined {
  switch (by) {
    case 'module':
      // No command comes from a module.
      return () => false;
    case 'aclcat':
      return (command) => categoriesOf(command).includes(value);
    case 'pattern': {
      const pattern = new NamePattern(value);
      return ({ name }) => pattern.matches(name);
    }
    default:
      return undefined;
  }
}

function writeKeyAndFlags(key: Buffer, { reads }: Executable, out: ReplyWriter): void {
  out.array(2);
  out.bulk(key);
  const flags = reads === undefined || reads.metadata === true ? ['RO'] : ['RO', 'access'];
  out.set(flags.length);
  for (const flag of flags) out.simple(flag);
}
