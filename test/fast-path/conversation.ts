/** How the bytes of a conversation are split into writes. */
export type Cut =
  | { readonly kind: 'whole' }
  | { readonly kind: 'messages' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'at'; readonly offsets: readonly number[] };

/** The bytes that a client sends on one connection. */
export interface Conversation {
  /** Requests, valid or not; one character for each byte. */
  readonly messages: readonly string[];
  readonly cut: Cut;
  /** Milliseconds between two writes; 0: one tick of the event loop. */
  readonly pauseMs: number;
}

/** Placeholder in a message for the number of a key that has not been requested yet. */
export const NUMBER = '@@@@@@@@';

/** Returns the writes of a conversation; `number` returns the replacement of {@link NUMBER}. */
export function writesOf({ messages, cut }: Conversation, number: () => string): string[] {
  const numbered = messages.map((message) => message.replaceAll(NUMBER, number));
  const text = numbered.join('');
  switch (cut.kind) {
    case 'whole':
      return [text];
    case 'messages':
      return numbered;
    case 'bytes':
      return [...text];
    case 'at': {
      const offsets = [...new Set(cut.offsets.map((offset) => offset % (text.length + 1)))].sort((a, b) => a - b);
      return [0, ...offsets].map((offset, i) => text.slice(offset, offsets[i])).filter((part) => part !== '');
    }
  }
}

/** Formats a conversation for humans: escapes unprintable bytes, and counts long repetitions. */
export function show(text: string): string {
  const seen = text.replace(/([^])\1{30,}/g, (run, each: string) => `${each}\u00d7${run.length}\u00a0`);
  const lines = seen.replace(/(\u00d7\d+\u00a0)|\r\n|[^\n\x20-\x7e]|\n|\\/g, (part, run?: string) => {
    if (run !== undefined) return `{${run.slice(1, -1)} times}`;
    if (part === '\r\n') return '\\r\\n\n';
    if (part === '\n') return '\\n\n';
    if (part === '\r') return '\\r';
    return part === '\\' ? '\\\\' : `\\x${part.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return lines.length > 3000 ? `${lines.slice(0, 2000)} … ${lines.slice(-500)}` : lines;
}

export function showConversation({ messages, cut, pauseMs }: Conversation): string {
  const where = cut.kind === 'at' ? `at ${cut.offsets.join(', ')}` : cut.kind;
  return [
    ...messages.map((message, i) => `--- message ${i + 1}, ${message.length} bytes\n${show(message)}`),
    `--- cut: ${where}; ${pauseMs} ms between writes`,
  ].join('\n');
}
