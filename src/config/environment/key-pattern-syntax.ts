/** One element of a pattern: `*`, or the bytes that it accepts in its place. */
export type PatternElement = 'any-bytes' | ReadonlySet<number>;

const [STAR, QUESTION, OPEN, CLOSE, CARET, MINUS, BACKSLASH, COMMA, SPACE] = Buffer.from('*?[]^-\\, ');
const ANY_BYTE: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, byte) => byte));

/**
 * Reads glob patterns, separated by commas, as Redis' KEYS understands them: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\`
 * before a byte that stands for itself, a comma among them. Undefined if one of them is empty or cannot be meant: an
 * open `[`, an empty class, a `\` at the end, a space at either end that is not escaped. (KEYS takes those for something.)
 */
export function parseKeyPatterns(text: string): PatternElement[][] | undefined {
  const bytes = Buffer.from(text);
  const patterns: PatternElement[][] = [[]];
  for (let at = 0; at < bytes.length;) {
    const pattern = patterns[patterns.length - 1];
    if (bytes[at] === COMMA) {
      patterns.push([]);
      at++;
    } else if (bytes[at] === STAR) {
      if (pattern.at(-1) !== 'any-bytes') pattern.push('any-bytes');
      at++;
    } else {
      const isEdge = pattern.length === 0 || [undefined, COMMA].includes(bytes[at + 1]);
      if (bytes[at] === SPACE && isEdge) return undefined;
      const place = bytes[at] === OPEN ? parseClass(bytes, at + 1) : parseByte(bytes, at);
      if (place === undefined) return undefined;
      pattern.push(place.accepted);
      at = place.end;
    }
  }
  return patterns.every((pattern) => pattern.length > 0) ? patterns : undefined;
}

interface Place {
  readonly accepted: ReadonlySet<number>;
  /** Where what follows starts. */
  readonly end: number;
}

function parseByte(bytes: Buffer, at: number): Place | undefined {
  if (bytes[at] === QUESTION) return { accepted: ANY_BYTE, end: at + 1 };
  const escaped = bytes[at] === BACKSLASH;
  if (escaped && at + 1 === bytes.length) return undefined;
  return { accepted: new Set([bytes[escaped ? at + 1 : at]]), end: escaped ? at + 2 : at + 1 };
}

/** Reads a class from behind its `[`. */
function parseClass(bytes: Buffer, start: number): Place | undefined {
  const negated = bytes[start] === CARET;
  const first = negated ? start + 1 : start;
  const named = new Set<number>();
  let at = first;
  while (bytes[at] !== CLOSE) {
    const escaped = bytes[at] === BACKSLASH;
    const isRange = !escaped && bytes[at + 1] === MINUS;
    const last = at + (isRange ? 2 : escaped ? 1 : 0);
    if (last >= bytes.length || (!escaped && bytes.subarray(at, last + 1).includes(COMMA))) return undefined;
    addRange(named, bytes[isRange ? at : last], bytes[last]);
    at = last + 1;
  }
  if (at === first) return undefined;
  return { accepted: negated ? new Set([...ANY_BYTE].filter((byte) => !named.has(byte))) : named, end: at + 1 };
}

/** As Redis does, whichever end comes first. */
function addRange(bytes: Set<number>, from: number, to: number): void {
  for (let byte = Math.min(from, to); byte <= Math.max(from, to); byte++) bytes.add(byte);
}
