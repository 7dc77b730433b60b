import type { Buffer } from 'node:buffer';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** The source text of a JSON number: as JavaScript numbers, `9007199254740993` and `1.0` would lose digits. */
export class RawNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Parses a body as JSON in UTF-8; undefined if it is invalid. */
export function parseJsonBody(body: Buffer): unknown {
  return parse(body);
}

/** Parses a body as JSON in UTF-8, with a {@link RawNumber} for each number; undefined if it is invalid. */
export function parseJsonBodyWithRawNumbers(body: Buffer): unknown {
  return parse(body, (_name, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' ? new RawNumber(context?.source ?? String(value)) : value,
  );
}

/** Counts the members of all objects in valid JSON, including duplicates. */
export function countMembers(json: Buffer): number {
  let count = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === QUOTE) inString = !inString;
    else if (inString && byte === BACKSLASH) i++;
    else if (!inString && byte === COLON) count++;
  }
  return count;
}

function parse(body: Buffer, revive?: Parameters<typeof JSON.parse>[1]): unknown {
  try {
    return JSON.parse(UTF8.decode(body), revive);
  } catch {
    return undefined;
  }
}
