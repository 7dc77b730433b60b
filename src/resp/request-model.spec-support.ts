import { splitInline } from './inline-request.ts';
import type { RequestLimits } from './request-parser.ts';

interface Outcome {
  readonly requests: string[][];
  readonly problem: string | undefined;
}

class Problem extends Error {}
/** The stream ends within a request. */
class Rest extends Error {}

/** Reads a whole stream, a character for each byte, as plainly as can be. */
export function modelRequests(stream: string, limits: RequestLimits): Outcome {
  const requests: string[][] = [];
  let rest = stream;
  try {
    while (rest !== '') {
      const { found, length } = rest.startsWith('*') ? multibulk(rest, limits) : inline(rest);
      if (found.length > 0) requests.push(found);
      rest = rest.slice(length);
    }
  } catch (error) {
    if (error instanceof Problem) return { requests, problem: `Protocol error: ${error.message}` };
    if (!(error instanceof Rest)) throw error;
  }
  return { requests, problem: undefined };
}

function multibulk(text: string, limits: RequestLimits): { found: string[]; length: number } {
  const head = count(text, 0, limits.maxArguments, 'invalid multibulk length');
  const found: string[] = [];
  let at = head.end;
  while (found.length < head.value) {
    if (at >= text.length) throw new Rest();
    if (text[at] !== '$') throw new Problem(`expected '$', got '${text[at]}'`);
    const { value, end } = count(text, at, limits.maxBulkBytes, 'invalid bulk length');
    if (value < 0) throw new Problem('invalid bulk length');
    if (end + value > limits.maxRequestBytes) throw new Problem('too big request');
    if (end + value + 2 > text.length) throw new Rest();
    found.push(text.slice(end, end + value));
    at = end + value + 2;
  }
  return { found, length: at };
}

function count(text: string, mark: number, max: number, problem: string): { value: number; end: number } {
  const from = mark + 1;
  const to = text.indexOf('\r', from);
  const length = to === -1 ? Infinity : to - from;
  if (length >= 32) {
    if (text.length - from > 32) throw new Problem(problem);
    throw new Rest();
  }
  if (to + 1 >= text.length) throw new Rest();
  const digits = text.slice(from, to);
  const value = /^(?:0|-?[1-9]\d{0,14})$/.test(digits) ? Number(digits) : NaN;
  if (!(value <= max)) throw new Problem(problem);
  return { value, end: to + 2 };
}

function inline(text: string): { found: string[]; length: number } {
  const end = text.indexOf('\n');
  if (end === -1) throw new Rest();
  const found = splitInline(Buffer.from(text.slice(0, end).replace(/\r$/, ''), 'latin1'));
  if (found === undefined) throw new Problem('unbalanced quotes in request');
  return { found: found.map((argument) => argument.toString('latin1')), length: end + 1 };
}
