import type { RefusedCommands } from '../../../redis-commands/refused-commands.ts';
import type { ReplyWriter } from '../../protocol/reply-writer.ts';
import type { Client } from '../../server/client.ts';
import { type TrackingOptions, startsWith } from '../../server/client-tracking.ts';
import type { TrackingClients } from '../../server/tracking-clients.ts';
import { SYNTAX_ERROR, parseSmallInteger } from '../arguments.ts';
import type { Subcommand } from '../resp-command.ts';

const REQUIRES_RESP3 =
  'ERR CLIENT TRACKING requires RESP3 here, whose push messages are the only way to be notified: send HELLO 3 first';
const NO_REDIRECT =
  'ERR REDIRECT is not supported: this proxy notifies the connection that reads, over RESP3; send HELLO 3 and omit REDIRECT';
const OTHER_MODE = 'before disabling tracking for this client, and then re-enabling it with a different mode.';
const NOT_CACHING =
  'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled';
const NO_PREFIXES: readonly Buffer[] = [Buffer.alloc(0)];

/** Options and prefixes of a request. */
interface ParsedOptions extends TrackingOptions {
  readonly prefixes: readonly Buffer[];
  readonly redirects: boolean;
}

/** `CLIENT TRACKING` and the subcommands that belong to it. Options are checked in the order of Redis. */
export class TrackingCommands {
  readonly #clients: TrackingClients;
  readonly #refused: RefusedCommands;

  constructor(clients: TrackingClients, refused: RefusedCommands) {
    this.#clients = clients;
    this.#refused = refused;
  }

  subcommands(): Subcommand[] {
    return [
      { name: 'caching', arity: 3, run: ([state], client, out) => setCaching(state.toString('latin1'), client, out) },
      {
        name: 'getredir',
        arity: 2,
        run: (_args, { tracking }, out) => out.integer(tracking === undefined ? -1 : 0),
      },
      { name: 'tracking', arity: -3, run: (args, client, out) => this.#track(args, client, out) },
      { name: 'trackinginfo', arity: 2, run: (_args, client, out) => describe(client, out) },
    ];
  }

  #track([state, ...args]: readonly Buffer[], client: Client, out: ReplyWriter): void {
    const options = parseOptions(args);
    if (typeof options === 'string') return out.error(options);
    switch (state.toString('latin1').toLowerCase()) {
      case 'on':
        return this.#start(options, client, out);
      case 'off':
        this.#clients.stop(client);
        return out.simple('OK');
      default:
        return out.error(SYNTAX_ERROR);
    }
  }

  #start(options: ParsedOptions, client: Client, out: ReplyWriter): void {
    const conflict = findConflict(options, client);
    if (conflict !== undefined) return out.error(conflict);
    const refusal = options.redirects
      ? NO_REDIRECT
      : ((client.protocol === 3 ? undefined : REQUIRES_RESP3) ?? this.#clients.refusal);
    if (refusal !== undefined) {
      this.#refused.count('resp', 'client|tracking');
      return out.error(refusal);
    }
    const { broadcast, optIn, optOut, noLoop, prefixes } = options;
    const wasTracking = client.tracking !== undefined;
    const tracking = this.#clients.start(client, { broadcast, optIn, optOut, noLoop });
    const known = (prefix: Buffer): boolean => tracking.prefixes.some((each) => each.equals(prefix));
    const added = (broadcast && prefixes.length === 0 ? NO_PREFIXES : prefixes).filter((prefix) => !known(prefix));
    const problem = broadcast ? tracking.addPrefixes(added) : undefined;
    if (problem === undefined) return out.simple('OK');
    if (!wasTracking) this.#clients.stop(client);
    out.error(problem);
  }
}

function parseOptions(args: readonly Buffer[]): ParsedOptions | string {
  const words = new Set<string>();
  const prefixes: Buffer[] = [];
  let redirects = false;
  for (let i = 0; i < args.length; i++) {
    const word = args[i].toString('latin1').toLowerCase();
    const hasValue = i + 1 < args.length;
    if (word === 'redirect' && hasValue) {
      if (redirects) return 'ERR A client can only redirect to a single other client';
      if (parseSmallInteger(args[++i]) === undefined) return 'ERR value is not an integer or out of range';
      redirects = true;
    } else if (word === 'prefix' && hasValue) prefixes.push(Buffer.from(args[++i]));
    else if (['bcast', 'optin', 'optout', 'noloop'].includes(word)) words.add(word);
    else return SYNTAX_ERROR;
  }
  return {
    ...{ broadcast: words.has('bcast'), optIn: words.has('optin'), optOut: words.has('optout') },
    ...{ noLoop: words.has('noloop'), prefixes, redirects },
  };
}

/** Returns an error if options contradict each other, or the ones in use. */
function findConflict(options: ParsedOptions, { tracking }: Client): string | undefined {
  const { broadcast, optIn, optOut, prefixes } = options;
  if (!broadcast && prefixes.length > 0) return 'ERR PREFIX option requires BCAST mode to be enabled';
  if (tracking !== undefined && tracking.options.broadcast !== broadcast) {
    return `ERR You can't switch BCAST mode on/off ${OTHER_MODE}`;
  }
  if (broadcast && (optIn || optOut)) return 'ERR OPTIN and OPTOUT are not compatible with BCAST';
  if (optIn && optOut) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if ((optIn && tracking?.options.optOut) || (optOut && tracking?.options.optIn)) {
    return `ERR You can't switch OPTIN/OPTOUT mode ${OTHER_MODE}`;
  }
  return broadcast ? findOverlap(prefixes, tracking?.prefixes ?? []) : undefined;
}

function findOverlap(added: readonly Buffer[], existing: readonly Buffer[]): string | undefined {
  const overlap = (prefix: Buffer, other: Buffer): boolean => startsWith(prefix, other) || startsWith(other, prefix);
  for (const [index, prefix] of added.entries()) {
    const old = existing.find((other) => overlap(prefix, other));
    if (old !== undefined) return overlaps(prefix, 'an existing prefix', old);
    const next = added.slice(index + 1).find((other) => overlap(prefix, other));
    if (next !== undefined) return overlaps(prefix, 'another provided prefix', next);
  }
  return undefined;
}

function overlaps(prefix: Buffer, what: string, other: Buffer): string {
  const [text, otherText] = [prefix, other].map((each) => each.toString('latin1').replace(/\0[^]*/, ''));
  return `ERR Prefix '${text}' overlaps with ${what} '${otherText}'. Prefixes for a single client must not overlap.`;
}

function setCaching(state: string, { tracking }: Client, out: ReplyWriter): void {
  if (tracking === undefined) return out.error(NOT_CACHING);
  const isYes = /^yes$/i.test(state);
  if (!isYes && !/^no$/i.test(state)) return out.error(SYNTAX_ERROR);
  if (isYes && !tracking.options.optIn) {
    return out.error('ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.');
  }
  if (!isYes && !tracking.options.optOut) {
    return out.error('ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.');
  }
  tracking.caching = true;
  out.simple('OK');
}

function describe({ tracking }: Client, out: ReplyWriter): void {
  const flags = [tracking === undefined ? 'off' : 'on'];
  if (tracking !== undefined) {
    const { options, caching } = tracking;
    if (options.broadcast) flags.push('bcast');
    if (options.optIn) flags.push('optin', ...(caching ? ['caching-yes'] : []));
    if (options.optOut) flags.push('optout', ...(caching ? ['caching-no'] : []));
    if (options.noLoop) flags.push('noloop');
  }
  out.map(3);
  out.bulk('flags');
  out.set(flags.length);
  for (const flag of flags) out.bulk(flag);
  out.bulk('redirect');
  out.integer(tracking === undefined ? -1 : 0);
  out.bulk('prefixes');
  const prefixes = tracking?.prefixes ?? [];
  out.array(prefixes.length);
  for (const prefix of prefixes) out.bulk(prefix);
}
