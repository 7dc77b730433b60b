import type { Buffer } from 'node:buffer';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** A number as it is written in JSON: `9007199254740993` and `1.0` are other texts as numbers of JavaScript. */
export class WrittenNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Parses a body as JSON in UTF-8; undefined if it is not that. */
export function parseJsonBody(body: Buffer): unknown {
  return parse(body);
}

/** Does the same, with a {@link WrittenNumber} for each number. */
export function parseJsonBodyAsWritten(body: Buffer): unknown {
  return parse(body, (_name, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' ? new WrittenNumber(context?.source ?? String(value)) : value,
  );
}

/** Counts the members of all objects in valid JSON, also those that a later one of the same name replaces. */
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
