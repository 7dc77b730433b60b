/** One element of a pattern: `*`, or the set of bytes that match at its position. */
export type PatternElement = 'any-bytes' | ReadonlySet<number>;

/** A value that applies to the keys which a pattern matches. */
export interface KeyRule {
  /** In the syntax of {@link parseKeyPatterns}, without an unescaped comma. */
  readonly pattern: string;
  readonly value: string;
}

const [STAR, QUESTION, OPEN, CLOSE, CARET, MINUS, BACKSLASH, COMMA, SPACE] = Buffer.from('*?[]^-\\, ');
/** A pattern up to its first unescaped `=`, and a value without a comma. */
const RULE = /((?:[^\\,=]|\\[^])*)=([^,]*)(?:,|$)/y;
const ANY_BYTE: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, byte) => byte));

/**
 * Parses glob patterns, separated by commas, in the syntax of the Redis command KEYS: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`,
 * and `\` before a literal byte, including a comma. Returns undefined if a pattern is empty or probably a mistake: an open
 * `[`, an empty class, a `\` at the end, an unescaped space at either end. (KEYS accepts these.)
 */
export function parseKeyPatterns(text: string): PatternElement[][] | undefined {
  const bytes = Buffer.from(text);
  const patterns: PatternElement[][] = [[]];
  for (let at = 0; at < bytes.length;) {
    const pattern = patterns[patterns.length - 1];
    if (bytes[at] === COMMA) {
      patterns.push([]);
      at++;
    } else {
      const isEdge = pattern.length === 0 || [undefined, COMMA].includes(bytes[at + 1]);
      if (bytes[at] === SPACE && isEdge) return undefined;
      const end = parseElement(bytes, at, pattern, 'list');
      if (end === undefined) return undefined;
      at = end;
    }
  }
  return patterns.every((pattern) => pattern.length > 0) ? patterns : undefined;
}

/**
 * Parses `pattern=value,…`; a `\` precedes a literal comma or `=` in a pattern, also in a class. Returns undefined if a pattern is
 * invalid, or `isValue` rejects a value.
 */
export function parseKeyRules(text: string, isValue: (value: string) => boolean): KeyRule[] | undefined {
  const rules: KeyRule[] = [];
  RULE.lastIndex = 0;
  while (RULE.lastIndex < text.length) {
    const [, pattern, value] = RULE.exec(text) ?? [];
    if (pattern === undefined || parseKeyPatterns(pattern)?.length !== 1 || !isValue(value)) return undefined;
    rules.push({ pattern, value });
  }
  return rules.length === 0 || text.endsWith(',') ? undefined : rules;
}

/**
 * Parses one glob pattern of any bytes, in which commas and spaces are literal. Returns undefined if it is empty or probably a
 * mistake, as {@link parseKeyPatterns} does.
 */
export function parseKeyPattern(bytes: Buffer): PatternElement[] | undefined {
  const pattern: PatternElement[] = [];
  for (let at: number | undefined = 0; at < bytes.length;) {
    at = parseElement(bytes, at, pattern, 'one');
    if (at === undefined) return undefined;
  }
  return pattern.length > 0 ? pattern : undefined;
}

/**
 * Parses an element, adds it to a pattern, and returns the offset of the next one.
 *
 * @param of in a list of patterns, a comma in a class must be escaped.
 */
function parseElement(bytes: Buffer, at: number, pattern: PatternElement[], of: 'list' | 'one'): number | undefined {
  if (bytes[at] === STAR) {
    if (pattern.at(-1) !== 'any-bytes') pattern.push('any-bytes');
    return at + 1;
  }
  const element = bytes[at] === OPEN ? parseClass(bytes, at + 1, of === 'list') : parseByte(bytes, at);
  if (element !== undefined) pattern.push(element.accepted);
  return element?.end;
}

interface ParsedElement {
  readonly accepted: ReadonlySet<number>;
  /** The offset of the next element. */
  readonly end: number;
}

function parseByte(bytes: Buffer, at: number): ParsedElement | undefined {
  if (bytes[at] === QUESTION) return { accepted: ANY_BYTE, end: at + 1 };
  const escaped = bytes[at] === BACKSLASH;
  if (escaped && at + 1 === bytes.length) return undefined;
  return { accepted: new Set([bytes[escaped ? at + 1 : at]]), end: escaped ? at + 2 : at + 1 };
}

/** Parses a class from the byte after its `[`. */
function parseClass(bytes: Buffer, start: number, isInList: boolean): ParsedElement | undefined {
  const negated = bytes[start] === CARET;
  const first = negated ? start + 1 : start;
  const named = new Set<number>();
  let at = first;
  while (bytes[at] !== CLOSE) {
    const escaped = bytes[at] === BACKSLASH;
    const isRange = !escaped && bytes[at + 1] === MINUS;
    const last = at + (isRange ? 2 : escaped ? 1 : 0);
    if (last >= bytes.length) return undefined;
    if (isInList && !escaped && bytes.subarray(at, last + 1).includes(COMMA)) return undefined;
    addRange(named, bytes[isRange ? at : last], bytes[last]);
    at = last + 1;
  }
  if (at === first) return undefined;
  return { accepted: negated ? new Set([...ANY_BYTE].filter((byte) => !named.has(byte))) : named, end: at + 1 };
}

/** Adds a range of bytes; like Redis, accepts its ends in either order. */
function addRange(bytes: Set<number>, from: number, to: number): void {
  for (let byte = Math.min(from, to); byte <= Math.max(from, to); byte++) bytes.add(byte);
}
