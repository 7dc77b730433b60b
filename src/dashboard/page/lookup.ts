import { MOST_PREVIEW_BYTES, PREVIEW_FORMATS, bestFormat, preview } from './bytes-preview.ts';
import { cacheStatusInWords } from './cache-status.ts';
import { element, setText } from './element.ts';
import { bytes as inBytes } from './format.ts';
import { failureText, problemText, tokenHeader, typedKey } from './key-request.ts';

/** The start of a value, or all of it. */
interface Value {
  readonly bytes: Uint8Array;
  /** Of all of it. */
  readonly length: number;
}

let latest = new AbortController();
let shown: Value | undefined;

/** Has the form look keys up. */
export function serveLookups(): void {
  element('lookup', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    void lookUp();
  });
  for (const format of PREVIEW_FORMATS) {
    element(`format-${format}`, HTMLInputElement).addEventListener('change', () => showValue());
  }
}

async function lookUp(): Promise<void> {
  latest.abort();
  latest = new AbortController();
  const { signal } = latest;
  try {
    const response = await ask(typedKey(), signal);
    const value = await readStart(response);
    if (!signal.aborted) show(response, value);
  } catch (error) {
    const failure = failureText(error);
    if (failure !== undefined) conclude('bad', failure, '');
  }
}

/**
 * Asks the proxy, never the browser's own cache. Browsers that are told so ask for `no-cache`, which would have the value
 * read from Redis each time; `no-transform` in its place asks for nothing.
 */
function ask(key: string, signal: AbortSignal): Promise<Response> {
  const anew = element('anew', HTMLInputElement).checked;
  return fetch(`v1/keys/${key}`, {
    headers: { ...tokenHeader('access-token'), 'Cache-Control': anew ? 'no-cache' : 'no-transform' },
    cache: 'no-store',
    signal,
  });
}

async function readStart(response: Response): Promise<Value> {
  const bytes = new Uint8Array(MOST_PREVIEW_BYTES);
  let read = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined && read < MOST_PREVIEW_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value.subarray(0, MOST_PREVIEW_BYTES - read), read);
    read = Math.min(read + value.length, MOST_PREVIEW_BYTES);
  }
  void reader?.cancel();
  return { bytes: bytes.subarray(0, read), length: Number(response.headers.get('content-length') ?? read) };
}

function show(response: Response, value: Value): void {
  const { status, statusText, headers, ok } = response;
  const words = cacheStatusInWords(headers.get('cache-status'), status) ?? '';
  if (ok) conclude('good', `${status} ${statusText}, ${inBytes(value.length)}`, words);
  else conclude('bad', `${status} ${statusText}: ${problemText(status, new TextDecoder().decode(value.bytes))}`, words);
  showHeaders(headers);
  shown = ok ? value : undefined;
  if (shown !== undefined) {
    const cut = shown.length > shown.bytes.length;
    element(`format-${bestFormat(shown.bytes, cut)}`, HTMLInputElement).checked = true;
  }
  showValue();
}

/** Says in a line what came of it; what an earlier one has shown is gone. */
function conclude(level: 'good' | 'bad', summary: string, words: string): void {
  element('found', HTMLElement).dataset.level = level;
  element('found-details', HTMLElement).hidden = true;
  setText('found-summary', summary);
  setText('found-words', words);
  shown = undefined;
}

function showHeaders(headers: Headers): void {
  element('found-details', HTMLElement).hidden = false;
  const body = element('found-headers', HTMLTableSectionElement);
  body.replaceChildren();
  for (const [name, value] of headers) {
    const row = body.insertRow();
    const heading = document.createElement('th');
    heading.scope = 'row';
    heading.textContent = name;
    row.append(heading);
    row.insertCell().textContent = value;
  }
}

function showValue(): void {
  const holder = element('found-value', HTMLElement);
  holder.hidden = shown === undefined;
  if (shown === undefined) return;
  const format = PREVIEW_FORMATS.find((each) => element(`format-${each}`, HTMLInputElement).checked) ?? 'text';
  const cut = shown.length > shown.bytes.length;
  const { text, shown: bytes } = preview(shown.bytes, cut, format);
  element('value', HTMLElement).classList.toggle('columns', format === 'hex');
  setText('value', text);
  const note = shown.length === 0 ? 'The value is empty: zero bytes.' : '';
  setText('value-note', bytes < shown.length ? `The first ${inBytes(bytes)} of ${inBytes(shown.length)}.` : note);
}
