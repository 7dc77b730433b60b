import { Buffer } from 'node:buffer';
import { Query, type StoredForm, selectorOf } from '../../redis/query.ts';
import { HASHES_PATH, JSON_PATH, LISTS_PATH, SETS_PATH, SORTED_SETS_PATH } from '../request/key-path.ts';
import { unknownParameter } from '../request/unknown-input.ts';
import { JSON_ARRAY, JSON_FIELDS, JSON_SCORES, NO_BYTES_IF_ONE, STRING_BYTES } from './stored-forms.ts';

/** How the result of a query is represented in a response. */
export type RepresentationName = 'value' | 'json' | 'field' | 'member';

/** A read of a resource, except for its key: a command about one key, and how its result is stored and represented. */
export interface ResourceRead {
  /** Name of the command, in upper case, and its arguments after the key. */
  readonly command: readonly Buffer[];
  readonly form: StoredForm;
  readonly selector: Buffer;
  readonly representation: RepresentationName;
}

/** Values of query parameters by name. */
type Parameters = ReadonlyMap<string, string>;

/** A resource that represents keys of one type. */
export interface Resource {
  /** The path before the key. */
  readonly path: string;
  /** Names of its query parameters. */
  readonly parameters: readonly string[];
  /** Returns the read, or a sentence that says which parameter is invalid. */
  readonly read: (parameters: Parameters) => ResourceRead | string;
  /** Returns the read of what the path names after the key; undefined if it names a key alone. */
  readonly readPart?: (part: Buffer) => ResourceRead;
}

const HGETALL = readOf(['HGETALL'], JSON_FIELDS, 'json');
const SMEMBERS = readOf(['SMEMBERS'], JSON_ARRAY, 'json');
const JSON_DOCUMENT = readOf(['JSON.GET'], STRING_BYTES, 'json');
const HGET = Buffer.from('HGET');
const SISMEMBER = Buffer.from('SISMEMBER');

/** The resources by the type of the keys that they represent, as TYPE names it. */
export const RESOURCES = {
  hash: {
    path: HASHES_PATH,
    parameters: [],
    read: () => HGETALL,
    readPart: (field) => readOf([HGET, field], STRING_BYTES, 'field'),
  },
  list: {
    path: LISTS_PATH,
    parameters: ['start', 'stop'],
    read: (parameters) => readOf(['LRANGE', ...rangeIn(parameters, '0', '-1')], JSON_ARRAY, 'json'),
  },
  set: {
    path: SETS_PATH,
    parameters: [],
    read: () => SMEMBERS,
    readPart: (member) => readOf([SISMEMBER, member], NO_BYTES_IF_ONE, 'member'),
  },
  zset: {
    path: SORTED_SETS_PATH,
    parameters: ['start', 'stop', 'order', 'by', 'withScores'],
    read: sortedSetRead,
  },
  'ReJSON-RL': {
    path: JSON_PATH,
    parameters: ['path'],
    // The whole document: an array of the only match of `$` would have to be unpacked by every client.
    read: (parameters) => {
      const path = parameters.get('path') ?? '$';
      return path === '$' ? JSON_DOCUMENT : readOf(['JSON.GET', path], STRING_BYTES, 'json');
    },
  },
} as const satisfies Readonly<Record<string, Resource>>;

/** The commands that read resources, with their number of arguments after the key, and the forms of their replies. */
const STORED: ReadonlyMap<string, { readonly args: readonly [number, number]; readonly forms: readonly StoredForm[] }> =
  new Map([
    ['HGETALL', { args: [0, 0], forms: [JSON_FIELDS] }],
    ['HGET', { args: [1, 1], forms: [STRING_BYTES] }],
    ['LRANGE', { args: [2, 2], forms: [JSON_ARRAY] }],
    ['SMEMBERS', { args: [0, 0], forms: [JSON_ARRAY] }],
    ['SISMEMBER', { args: [1, 1], forms: [NO_BYTES_IF_ONE] }],
    ['ZRANGE', { args: [2, 5], forms: [JSON_ARRAY, JSON_SCORES] }],
    ['JSON.GET', { args: [0, 1], forms: [STRING_BYTES] }],
  ]);

/**
 * Returns the query of a resource; undefined if no resource is read with this command in this form.
 *
 * @param command its name, in upper case, and its arguments after the key.
 */
export function resourceQuery(key: Buffer, command: readonly Buffer[], formId: number): Query | undefined {
  const { args: [min, max] = [0, -1], forms = [] } = STORED.get(command[0].toString('latin1')) ?? {};
  const form = forms.find(({ id }) => id === formId);
  const args = command.length - 1;
  return form === undefined || args < min || args > max ? undefined : Query.of(key, command, form);
}

/**
 * Parses the query of a request for a resource, in UTF-8: `start=0&stop=9`; undefined if it has no query. Returns the read, or a
 * sentence that says what is invalid.
 */
export function readFromQuery(resource: Resource, query: string | undefined): ResourceRead | string {
  const unknown = query === undefined ? undefined : unknownParameter(query, resource.parameters);
  return unknown ?? resource.read(new Map(new URLSearchParams(query)));
}

/** Reads a range of a sorted set. The range is always given from its lowest to its highest end. */
function sortedSetRead(parameters: Parameters): ResourceRead | string {
  const { order = 'asc', by = 'rank', withScores = 'false' } = Object.fromEntries(parameters);
  if (order !== 'asc' && order !== 'desc') return 'order must be asc or desc.';
  if (by !== 'rank' && by !== 'score') return 'by must be rank or score.';
  if (withScores !== 'true' && withScores !== 'false') return 'withScores must be true or false.';
  const byScore = by === 'score';
  const range = byScore ? rangeIn(parameters, '-inf', '+inf') : rangeIn(parameters, '0', '-1');
  const command = ['ZRANGE', ...(byScore && order === 'desc' ? range.reverse() : range)];
  if (byScore) command.push('BYSCORE');
  if (order === 'desc') command.push('REV');
  if (withScores === 'true') command.push('WITHSCORES');
  return readOf(command, withScores === 'true' ? JSON_SCORES : JSON_ARRAY, 'json');
}

/** Returns `start` and `stop`, which Redis validates. */
function rangeIn(parameters: Parameters, start: string, stop: string): [string, string] {
  return [numberIn(parameters.get('start')) ?? start, numberIn(parameters.get('stop')) ?? stop];
}

/** Returns a number in a query, where `+` encodes a space, which no number contains. */
function numberIn(value: string | undefined): string | undefined {
  return value?.replaceAll(' ', '+');
}

function readOf(
  command: readonly (string | Buffer)[],
  form: StoredForm,
  representation: RepresentationName,
): ResourceRead {
  const bytes = command.map((argument) => Buffer.from(argument));
  return { command: bytes, form, selector: selectorOf(bytes, form), representation };
}
