import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** A variable of a `.env` file and the line, counted from 1, on which its name stands. */
export interface EnvFileVariable {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** An error in a `.env` file, with all names in its statement; no names if they are unknown. */
interface EnvFileProblem {
  readonly names: readonly string[];
  readonly text: string;
}

/** The variables of a `.env` file in their order, and a problem for each invalid statement. */
export interface EnvFile {
  readonly variables: readonly EnvFileVariable[];
  readonly problems: readonly EnvFileProblem[];
}

const ACCEPTED = 'expected NAME=value, a comment that starts with #, or an empty line';

/** `export` is accepted for shells that read the same file. */
const ASSIGNMENT = /[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/y;
const SAME_LINE = /[^\n]*/y;
const BLANK_OR_COMMENT = /^[ \t]*(?:#.*)?$/;

/**
 * Reads a `.env` file; returns no variables if the file does not exist. The parser of Node.js silently skips what it cannot
 * parse, so it is called for one statement at a time, and only for statements that it parses completely. No problem
 * contains a value.
 */
export function readEnvFile(file: string): EnvFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code = 'unknown reason' } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { variables: [], problems: [] } : unreadable(`${file}: cannot be read (${code})`);
  }
  const problem = encodingProblem(bytes);
  if (problem !== undefined) return unreadable(`${file}${problem}; expected UTF-8`);
  return parse(bytes.toString('utf8').replace(/^\uFEFF/, ''), file);
}

function unreadable(text: string): EnvFile {
  return { variables: [], problems: [{ names: [], text }] };
}

function encodingProblem(bytes: Buffer): string | undefined {
  const isUtf16 = [0xfeff, 0xfffe].includes(bytes.length < 2 ? 0 : bytes.readUInt16BE(0)) || bytes.includes(0);
  if (isUtf16) return ', line 1: is UTF-16, or not text';
  if (isUtf8(bytes)) return undefined;
  // In UTF-8 a newline byte is never part of another character.
  let end = bytes.indexOf('\n');
  let line = 1;
  while (end >= 0 && isUtf8(bytes.subarray(0, end))) {
    end = bytes.indexOf('\n', end + 1);
    line++;
  }
  return `, line ${line}: is not UTF-8`;
}

function parse(original: string, file: string): EnvFile {
  const text = original.replace(/\r\n?/g, '\n');
  const variables: EnvFileVariable[] = [];
  const problems: EnvFileProblem[] = [];
  let line = 1;
  for (let at = 0; at < text.length;) {
    const end = statementEnd(text, at);
    const statement = text.slice(at, end);
    if (!BLANK_OR_COMMENT.test(statement)) {
      const { name, value, problem } = parseStatement(statement);
      if (problem === undefined) variables.push({ name, value, line });
      else problems.push({ names: namesIn(statement), text: `${file}, line ${line}: ${problem}` });
    }
    line += statement.split('\n').length;
    at = end + 1;
  }
  return { variables, problems };
}

/** Returns the end of the statement that starts at `at`: the end of its line, or of the line on which its quotes close. */
function statementEnd(text: string, at: number): number {
  ASSIGNMENT.lastIndex = at;
  const assignment = ASSIGNMENT.exec(text);
  const start = at + (assignment?.[0].length ?? 0);
  const closing = assignment !== null && isQuote(text[start]) ? text.indexOf(text[start], start + 1) : -1;
  SAME_LINE.lastIndex = Math.max(at, closing);
  return Math.max(at, closing) + (SAME_LINE.exec(text)?.[0].length ?? 0);
}

type Statement =
  | { readonly name: string; readonly value: string; readonly problem?: undefined }
  | { readonly name?: string; readonly value?: undefined; readonly problem: string };

function parseStatement(statement: string): Statement {
  ASSIGNMENT.lastIndex = 0;
  const assignment = ASSIGNMENT.exec(statement);
  if (assignment === null) {
    const name = nameIn(statement);
    return { name, problem: `${name ?? 'the line'} is not followed by "="; ${ACCEPTED}` };
  }
  const [matched, name] = assignment;
  const rest = statement.slice(matched.length);
  const problem = isQuote(rest[0]) ? quotesProblem(rest) : commentProblem(statement, matched.length);
  if (problem !== undefined) return { name, problem: `${name}: ${problem}` };
  return { name, value: parseEnv(statement)[name] ?? '' };
}

/**
 * Returns all words of a statement that can be names: `declare -x NAME=value` has its name after the first word, and an
 * unclosed quote includes the names on the following lines.
 */
function namesIn(statement: string): string[] {
  return statement.match(/[A-Za-z_][\w.-]*/g) ?? [];
}

/** Returns the name at the start of a line that is not an assignment, such as `NAME: value`. */
function nameIn(line: string): string | undefined {
  return /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*(?:$|[:\s])/.exec(line)?.[1];
}

function quotesProblem(rest: string): string | undefined {
  const closing = rest.indexOf(rest[0], 1);
  if (closing < 0) return `the value begins with ${rest[0]} and does not end with it; expected a closing quote`;
  if (BLANK_OR_COMMENT.test(rest.slice(closing + 1))) return undefined;
  return `text follows the closing ${rest[0]}; expected the end of the line or a comment (use another kind of quotes outside)`;
}

/** The parser of Node.js starts a comment at any #, and would cut a password in two. */
function commentProblem(statement: string, valueAt: number): string | undefined {
  const at = statement.indexOf('#', valueAt);
  if (at < 0 || /[ \t]/.test(statement[at - 1])) return undefined;
  return 'the value contains #, which starts a comment; expected quotes around the value, or a space before the comment';
}

function isQuote(character: string | undefined): boolean {
  return character === '"' || character === "'" || character === '`';
}
