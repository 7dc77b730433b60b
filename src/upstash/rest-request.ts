import { Buffer } from 'node:buffer';
import { RawNumber, parseJsonBody, parseJsonBodyWithRawNumbers } from '../http/request/json-body.ts';

/** Commands that one pipeline may have: clients that gather commands by themselves send as many. */
export const MAX_COMMANDS = 1000;
/** Keys that the commands of one request may name together. */
export const MAX_KEYS = 1000;

/** A command's name and its arguments, or what is wrong with them. */
export type RestCommand = readonly Buffer[] | string;

/** Why no command of a request is carried out. */
export interface BadRequest {
  readonly error: string;
  /** Whether it asks for too much; otherwise it cannot be understood. */
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

/** The command that a body names: `["GET", "a key"]`. */
export function parseCommand(body: Buffer): RestCommand | BadRequest {
  const command = parseJsonBody(body);
  if (!Array.isArray(command)) return NO_COMMAND;
  return parseArguments(hasNumber(command) ? (parseJsonBodyWithRawNumbers(body) as unknown[]) : command);
}

/** The commands that a body names: `[["GET", "a key"], ["PING"]]`. One that is none is an error in its place. */
export function parsePipeline(body: Buffer): readonly RestCommand[] | BadRequest {
  const commands = parseJsonBody(body);
  if (!Array.isArray(commands) || commands.length === 0) return NO_PIPELINE;
  if (commands.length > MAX_COMMANDS) return TOO_MANY_COMMANDS;
  if (!commands.every((command): command is unknown[] => Array.isArray(command))) return NO_PIPELINE;
  const written = commands.some(hasNumber) ? (parseJsonBodyWithRawNumbers(body) as unknown[][]) : commands;
  return written.map(parseArguments);
}

/** Few commands have one, and to keep numbers as they are written takes ten times as long. */
function hasNumber(values: readonly unknown[]): boolean {
  return values.some((value) => typeof value === 'number');
}

/**
 * Encodes arguments as Redis' own clients do: a string as its UTF-8, true and false as these words, a number as the text
 * that the client has written, since as a number of JavaScript it may be another one, and name another key.
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
