/** A parsed reply. Strings and errors keep their type byte in front. */
export type Parsed = string | number | null | readonly Parsed[] | { readonly map: readonly Parsed[] };

/** Parses replies of RESP2 and RESP3: a simple reference implementation. */
export function parseReplies(bytes: Buffer): Parsed[] {
  const text = bytes.toString('latin1');
  let at = 0;

  const line = (): string => {
    const end = text.indexOf('\r\n', at);
    if (end === -1) throw new Error(`no end of line after ${at}`);
    const found = text.slice(at, end);
    at = end + 2;
    return found;
  };
  const many = (count: number): Parsed[] => Array.from({ length: count }, next);

  function next(): Parsed {
    const mark = text[at++];
    const rest = line();
    switch (mark) {
      case '+':
      case '-':
        return mark + rest;
      case ':':
        return Number(rest);
      case '_':
        return null;
      case '$':
      case '=': {
        if (rest === '-1') return null;
        const value = text.slice(at, at + Number(rest));
        at += value.length;
        if (line() !== '') throw new Error(`no line end after the value before ${at}`);
        return mark + value;
      }
      case '*':
      case '~':
        return rest === '-1' ? null : many(Number(rest));
      case '%':
        return { map: many(2 * Number(rest)) };
      default:
        throw new Error(`no reply starts with ${mark} before ${at}`);
    }
  }

  const found: Parsed[] = [];
  while (at < text.length) found.push(next());
  return found;
}
