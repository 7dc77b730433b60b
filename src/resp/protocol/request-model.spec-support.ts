import { MAX_INLINE_BYTES, type RequestLimits } from './request-parser.ts';

interface Outcome {
  readonly requests: string[][];
  readonly problem: string | undefined;
}

class Problem extends Error {}
/** The stream ends within a request. */
class Incomplete extends Error {}

/** Parses a whole stream, one character per byte: a simple reference implementation of the parser. */
export function modelRequests(stream: string, limits: RequestLimits): Outcome {
  const requests: string[][] = [];
  let rest = stream;
  try {
    while (rest !== '') {
      const { found, length } = rest.startsWith('*') ? multibulk(rest, limits) : inline(rest, limits);
      if (found.length > 0) requests.push(found);
      rest = rest.slice(length);
    }
  } catch (error) {
    if (error instanceof Problem) return { requests, problem: `Protocol error: ${error.message}` };
    if (!(error instanceof Incomplete)) throw error;
  }
  return { requests, problem: undefined };
}

function multibulk(text: string, limits: RequestLimits): { found: string[]; length: number } {
  const head = count(text, 0, 1024 * 1024, 'invalid multibulk length');
  const found: string[] = [];
  let excess = head.value > limits.maxArguments ? `ERR command exceeds ${limits.maxArguments - 1} arguments` : '';
  let at = head.end;
  while (found.length < head.value) {
    if (at >= text.length) throw new Incomplete();
    if (text[at] !== '$') throw new Problem(`expected '$', got '${text[at]}'`);
    const { value, end } = count(text, at, 512 * 1024 * 1024, 'invalid bulk length');
    if (value < 0) throw new Problem('invalid bulk length');
    if (excess === '') {
      if (value > limits.maxBulkBytes) excess = `ERR argument exceeds ${limits.maxBulkBytes} bytes`;
      else if (end + value > limits.maxRequestBytes) excess = `ERR request exceeds ${limits.maxRequestBytes} bytes`;
    }
    if (end + value + 2 > text.length) throw new Incomplete();
    found.push(text.slice(end, end + value));
    at = end + value + 2;
  }
  if (excess !== '')
    return {
      found: [found[0].length > 128 && isSkipped(found[0], head.value, limits) ? '' : found[0].slice(0, 128), excess],
      length: at,
    };
  return { found, length: at };
}

/** Whether the request is known to be too large before its overlong name has been parsed: the name is then skipped. */
function isSkipped(name: string, count: number, limits: RequestLimits): boolean {
  return count > limits.maxArguments || name.length > limits.maxBulkBytes;
}

function count(text: string, mark: number, max: number, problem: string): { value: number; end: number } {
  const from = mark + 1;
  const to = text.indexOf('\r', from);
  const length = to === -1 ? Infinity : to - from;
  if (length >= 32) {
    if (text.length - from > 32) throw new Problem(problem);
    throw new Incomplete();
  }
  if (to + 1 >= text.length) throw new Incomplete();
  const digits = text.slice(from, to);
  const value = /^(?:0|-?[1-9]\d{0,14})$/.test(digits) ? Number(digits) : NaN;
  if (!(value <= max)) throw new Problem(problem);
  return { value, end: to + 2 };
}

function inline(text: string, limits: RequestLimits): { found: string[]; length: number } {
  if (text.startsWith('\x16')) throw new Problem('this port does not use TLS');
  const end = text.indexOf('\n');
  if (end >= MAX_INLINE_BYTES || (end === -1 && text.length >= MAX_INLINE_BYTES)) {
    throw new Problem('too big inline request');
  }
  if (end === -1) throw new Incomplete();
  const found = words(text.slice(0, end).replace(/\r$/, ''));
  if (found.length > limits.maxArguments) {
    return {
      found: [found[0], `ERR command exceeds ${limits.maxArguments - 1} arguments`],
      length: end + 1,
    };
  }
  return { found, length: end + 1 };
}

/** A word or a part of one: plain, in double quotes or in single quotes. Only white space may follow a quotation. */
const PART =
  /([^ \t\n\v\f\r\0"']+)|"((?:[^"\\]|\\[^])*)"(?=[ \t\n\v\f\r\0]|$)|'((?:[^'\\]|\\'|\\(?!'))*)'(?=[ \t\n\v\f\r\0]|$)/y;
const LETTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

function words(line: string): string[] {
  const found: string[] = [];
  let rest = line;
  for (;;) {
    rest = rest.replace(/^[ \t\n\v\f\r\0]+/, '');
    if (rest === '') return found;
    let word = '';
    while (rest !== '' && !/^[ \t\n\v\f\r\0]/.test(rest)) {
      PART.lastIndex = 0;
      const part = PART.exec(rest);
      if (part === null) throw new Problem('unbalanced quotes in request');
      const [whole, plain, double, single] = part as (string | undefined)[];
      word +=
        plain ??
        double?.replace(/\\(?:x([\da-f]{2})|([^]))/gi, (_, hex?: string, letter = '') =>
          hex === undefined
            ? (LETTERS[letter as string] ?? (letter as string))
            : String.fromCharCode(parseInt(hex, 16)),
        ) ??
        single?.replaceAll("\\'", "'") ??
        '';
      rest = rest.slice(whole?.length);
    }
    found.push(word);
  }
}
