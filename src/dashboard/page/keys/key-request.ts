import { element } from '../element.ts';
import { keyInPath, percentEncoded } from './key-in-path.ts';

/** An invalid input, with a message for the user. */
export class InputError extends Error {
  readonly field: HTMLInputElement;

  constructor(message: string, field: HTMLInputElement) {
    super(message);
    this.field = field;
  }
}

/**
 * Returns the key in the form, encoded for a URL path.
 *
 * @throws InputError if it is empty, or browsers cannot request it.
 */
export function typedKey(): string {
  const field = element('key', HTMLInputElement);
  const encoded = element('key-encoded', HTMLInputElement).checked;
  if (field.value === '') throw new InputError('Enter a key.', field);
  const key = keyInPath(field.value, encoded);
  if (key === undefined) throw new InputError('Browsers cannot request this key; use curl.', field);
  return key;
}

/**
 * Returns the text in the form for keys, as it was typed and percent-encoded, to be used as a prefix or pattern.
 *
 * @throws InputError if it is empty.
 */
export function typedSelection(name: string): { readonly typed: string; readonly encoded: string } {
  const field = element('key', HTMLInputElement);
  if (field.value === '') throw new InputError(`Enter a ${name} in the field for the key.`, field);
  const isEncoded = element('key-encoded', HTMLInputElement).checked;
  return { typed: field.value, encoded: percentEncoded(field.value, isEncoded) };
}

/**
 * Returns the Authorization header with the token in a field, or no headers if the field is empty.
 *
 * @param requiredMessage the error if the field is empty; undefined if the token is optional.
 * @throws InputError if the token is required or cannot be valid.
 */
export function tokenHeader(id: string, requiredMessage?: string): Record<string, string> {
  const field = element(id, HTMLInputElement);
  const token = field.value.trim();
  if (token === '') {
    if (requiredMessage !== undefined) throw new InputError(requiredMessage, field);
    return {};
  }
  // Tokens consist of visible ASCII characters; fetch rejects most others in a header.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new InputError('Invalid token.', field);
  return { Authorization: `Bearer ${token}` };
}

/** Returns the detail of a problem response (RFC 9457), or the status if the body is not one. */
export function problemText(status: number, body: string): string {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // A response of a gateway in front of the proxy.
  }
  return `Unexpected response with status ${status}.`;
}

/** Returns the message for a failed request, focusing an invalid field; undefined if it was aborted for a newer one. */
export function failureText(error: unknown): string | undefined {
  if (error instanceof DOMException && error.name === 'AbortError') return undefined;
  if (error instanceof InputError) {
    error.field.focus();
    return error.message;
  }
  return 'The proxy is unreachable.';
}
