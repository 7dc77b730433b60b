const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

/** C's `isspace`, and NUL; excludes the other white space of Unicode. */
const isSpace = (character: string): boolean => /[ \t\n\v\f\r\0]/.test(character);

/**
 * Splits an inline request into arguments, like Redis: at white space, with `"…"` (C escapes such as `\n` and `\x00`) and
 * `'…'` (only `\'` is an escape). Returns undefined if a quotation is not closed, or not followed by white space.
 */
export function splitInline(line: Buffer): Buffer[] | undefined {
  // latin1: one character per byte.
  const text = line.toString('latin1');
  const found: Buffer[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at])) at++;
    if (at === text.length) return found;
    let argument = '';
    while (at < text.length && !isSpace(text[at])) {
      const quote = text[at];
      if (quote !== '"' && quote !== "'") {
        argument += text[at++];
        continue;
      }
      const quotation = readQuotation(text, at);
      if (quotation === undefined) return undefined;
      argument += quotation.text;
      at = quotation.end;
      if (at < text.length && !isSpace(text[at])) return undefined;
    }
    found.push(Buffer.from(argument, 'latin1'));
  }
}

function readQuotation(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  const quote = text[from];
  let content = '';
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === quote) return { text: content, end: at + 1 };
    if (text[at] !== '\\' || at + 1 === text.length) {
      content += text[at];
    } else if (quote === "'") {
      content += text[at + 1] === "'" ? text[++at] : text[at];
    } else if (/^x[\da-f]{2}/i.test(text.slice(at + 1, at + 4))) {
      content += String.fromCharCode(parseInt(text.slice(at + 2, at + 4), 16));
      at += 3;
    } else {
      at++;
      content += ESCAPES[text[at]] ?? text[at];
    }
  }
  return undefined;
}
