import { element } from './element.ts';
import { keyInPath } from './key-in-path.ts';

/** What is wrong with what somebody has typed, for them. */
export class TypingError extends Error {
  readonly field: HTMLInputElement;

  constructor(message: string, field: HTMLInputElement) {
    super(message);
    this.field = field;
  }
}

/**
 * The key that is typed in, as it stands in a path.
 *
 * @throws TypingError
 */
export function typedKey(): string {
  const field = element('key', HTMLInputElement);
  const encoded = element('key-encoded', HTMLInputElement).checked;
  if (field.value === '') throw new TypingError('Which key?', field);
  const key = keyInPath(field.value, encoded);
  if (key === undefined) throw new TypingError('Browsers cannot ask for this key; curl can.', field);
  return key;
}

/**
 * The header that shows the token in a field, if there is one in it.
 *
 * @param needed what is said when there is none; undefined: it goes without.
 * @throws TypingError
 */
export function tokenHeader(id: string, needed?: string): Record<string, string> {
  const field = element(id, HTMLInputElement);
  const token = field.value.trim();
  if (token === '') {
    if (needed !== undefined) throw new TypingError(needed, field);
    return {};
  }
  // Headers carry no other characters, and no token has them.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypingError('This cannot be a token.', field);
  return { Authorization: `Bearer ${token}` };
}

/** What the proxy says of a request that it refuses (RFC 9457), or what else became of it. */
export function problemText(status: number, body: string): string {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // Not the proxy's own answer: that of a gateway before it.
  }
  return `The answer has status ${status}.`;
}

/** Why a request has failed, for people; undefined when it was given up for another one. */
export function failureText(error: unknown): string | undefined {
  if (error instanceof DOMException && error.name === 'AbortError') return undefined;
  if (error instanceof TypingError) {
    error.field.focus();
    return error.message;
  }
  return 'The proxy cannot be reached.';
}
