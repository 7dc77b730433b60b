export const PREVIEW_FORMATS = ['text', 'hex', 'base64'] as const;
export type PreviewFormat = (typeof PREVIEW_FORMATS)[number];

/** Maximum number of bytes of a value that are read for the preview. */
export const MAX_PREVIEW_BYTES = 64 * 1024;
/** Maximum number of bytes in a hex dump, which has a line for each sixteen bytes. */
const MAX_HEX_BYTES = 4096;
const HEX_COLUMNS = 16;

/**
 * Decodes UTF-8.
 *
 * @param cut whether the bytes are only the start of a value, which may end within a character.
 * @returns undefined if the bytes are not valid UTF-8.
 */
export function textOf(bytes: Uint8Array, cut: boolean): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return undefined;
  }
}

/** Returns `text` for printable UTF-8, else `hex`. */
export function bestFormat(bytes: Uint8Array, cut: boolean): PreviewFormat {
  const text = textOf(bytes, cut);
  // eslint-disable-next-line no-control-regex -- control characters are what the pattern finds
  return text === undefined || /[\0-\x08\x0e-\x1f\x7f]/.test(text) ? 'hex' : 'text';
}

/** Formats bytes; `shown` is the number of bytes in the text. */
export function preview(bytes: Uint8Array, cut: boolean, format: PreviewFormat): { text: string; shown: number } {
  switch (format) {
    case 'text':
      return { text: textOf(bytes, cut) ?? new TextDecoder().decode(bytes), shown: bytes.length };
    case 'hex': {
      const shown = bytes.subarray(0, MAX_HEX_BYTES);
      return { text: hexDump(shown), shown: shown.length };
    }
    case 'base64':
      return { text: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')), shown: bytes.length };
  }
}

/** Returns lines of an offset, sixteen bytes in hex, and the same bytes as ASCII. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_COLUMNS) {
    const row = Array.from(bytes.subarray(at, at + HEX_COLUMNS));
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(HEX_COLUMNS * 3 - 1)}  ${ascii}`);
  }
  return lines.join('\n');
}
