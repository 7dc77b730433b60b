export const PREVIEW_FORMATS = ['text', 'hex', 'base64'] as const;
export type PreviewFormat = (typeof PREVIEW_FORMATS)[number];

/** Bytes of a value that are read to be shown. */
export const MOST_PREVIEW_BYTES = 64 * 1024;
/** A dump takes five characters for a byte, and a line for sixteen. */
const MOST_HEX_BYTES = 4096;
const HEX_COLUMNS = 16;

/** The text that these bytes, or the start of it if they are `cut` off, are in UTF-8; undefined when they are none. */
export function textOf(bytes: Uint8Array, cut: boolean): string | undefined {
  try {
    // A character may have been cut in half.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return undefined;
  }
}

/** How bytes are best shown: as a text, if they are one of printable characters. */
export function bestFormat(bytes: Uint8Array, cut: boolean): PreviewFormat {
  const text = textOf(bytes, cut);
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  return text === undefined || /[\0-\x08\x0e-\x1f\x7f]/.test(text) ? 'hex' : 'text';
}

/** What is shown of bytes, and how many of them are. */
export function preview(bytes: Uint8Array, cut: boolean, format: PreviewFormat): { text: string; shown: number } {
  switch (format) {
    case 'text':
      return { text: textOf(bytes, cut) ?? new TextDecoder().decode(bytes), shown: bytes.length };
    case 'hex': {
      const shown = bytes.subarray(0, MOST_HEX_BYTES);
      return { text: hexDump(shown), shown: shown.length };
    }
    case 'base64':
      return { text: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')), shown: bytes.length };
  }
}

/** Lines of an offset, sixteen bytes, and the ASCII characters that they are. */
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
