import { Buffer } from 'node:buffer';
import { RawNumber, parseJsonBody, parseJsonBodyWithRawNumbers } from '../http/request/json-body.ts';

/** Most commands in a pipeline; clients with automatic pipelining send as many. */
export const MAX_COMMANDS = 1000;
/** Most keys in the commands of one request. */
export const MAX_KEYS = 1000;

/** A command's name and arguments, or an error. */
export type RestCommand = readonly Buffer[] | string;

/** The error of a request none of whose commands is executed. */
export interface BadRequest {
  readonly error: string;
  /** Whether a limit is exceeded (413); otherwise the request is malformed (400). */
  readonly tooMuch: boolean;
}

const NO_COMMAND = badRequest('ERR the body must be JSON of the form ["GET", "a key"]');
const NO_PIPELINE = badRequest('ERR the body must be JSON of the form [["GET", "a key"], ["PING"]]');
const TOO_MANY_COMMANDS = badRequest(`ERR a pipeline is limited to ${MAX_COMMANDS} commands`, true);
export const TOO_MANY_KEYS = badRequest(`ERR a request is limited to ${MAX_KEYS} keys`, true);
const EMPTY_COMMAND = 'ERR empty command';
const BAD_ARGUMENT = 'ERR arguments must be strings, numbers or booleans';

export function isBadRequest(parsed: BadRequest | RestCommand | readonly unknown[]): parsed is BadRequest {
  return typeof parsed === 'object' && 'error' in parsed;
}

/** Parses a body with one command: `["GET", "a key"]`. */
export function parseCommand(body: Buffer): RestCommand | BadRequest {
  const command = parseJsonBody(body);
  if (!Array.isArray(command)) return NO_COMMAND;
  return parseArguments(hasNumber(command) ? (parseJsonBodyWithRawNumbers(body) as unknown[]) : command);
}

/** Parses a body with a pipeline: `[["GET", "a key"], ["PING"]]`. An invalid command is an error at its position. */
export function parsePipeline(body: Buffer): readonly RestCommand[] | BadRequest {
  const commands = parseJsonBody(body);
  if (!Array.isArray(commands) || commands.length === 0) return NO_PIPELINE;
  if (commands.length > MAX_COMMANDS) return TOO_MANY_COMMANDS;
  if (!commands.every((command): command is unknown[] => Array.isArray(command))) return NO_PIPELINE;
  const written = commands.some(hasNumber) ? (parseJsonBodyWithRawNumbers(body) as unknown[][]) : commands;
  return written.map(parseArguments);
}

/** Few commands contain a number, and preserving its source text makes parsing ten times slower. */
function hasNumber(values: readonly unknown[]): boolean {
  return values.some((value) => typeof value === 'number');
}

/**
 * Encodes arguments as Redis clients do: strings as UTF-8, booleans as `true` and `false`, numbers as their source text,
 * because a conversion to a JavaScript number could change the key that they name.
 */
function parseArguments(values: readonly unknown[]): RestCommand {
  if (values.length === 0) return EMPTY_COMMAND;
  const parsed: Buffer[] = [];
  for (const value of values) {
    const text = value instanceof RawNumber ? value.text : typeof value === 'boolean' ? String(value) : value;
    if (typeof text !== 'string' || !text.isWellFormed()) return BAD_ARGUMENT;
    parsed.push(Buffer.from(text));
  }
  return parsed;
}

function badRequest(error: string, tooMuch = false): BadRequest {
  return { error, tooMuch };
}
