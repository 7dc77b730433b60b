import { MAX_PREVIEW_BYTES, PREVIEW_FORMATS, bestFormat, preview } from './bytes-preview.ts';
import { explainCacheStatus } from './cache-status.ts';
import { element, setText } from '../element.ts';
import { bytes as inBytes } from '../format.ts';
import { failureText, problemText, tokenHeader, typedKey } from './key-request.ts';

/** A value, or the start of it. */
interface Value {
  readonly bytes: Uint8Array;
  /** Whether it is the start only. */
  readonly isCut: boolean;
  /** Length of the whole value in bytes, as it was sent. */
  readonly length: number;
  /** The coding in which it was sent, and which the browser has decoded; undefined: none. */
  readonly coding: string | undefined;
}

let lookup = new AbortController();
let shown: Value | undefined;

/** Binds the lookup form. */
export function bindKeyLookup(): void {
  element('lookup', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    void lookUp();
  });
  for (const format of PREVIEW_FORMATS) {
    element(`format-${format}`, HTMLInputElement).addEventListener('change', () => showValue());
  }
}

async function lookUp(): Promise<void> {
  lookup.abort();
  lookup = new AbortController();
  const { signal } = lookup;
  try {
    const found = await read(typedKey(), signal);
    if (!signal.aborted) show(found);
  } catch (error) {
    const failure = failureText(error);
    if (failure !== undefined) showSummary('bad', failure, '');
  }
}

/** A response, and the type of the key if it is not a string. */
interface Found {
  readonly response: Response;
  readonly value: Value;
  readonly type?: string;
}

/** Reads a key, and one of another type than string from the resource of its type. */
async function read(key: string, signal: AbortSignal): Promise<Found> {
  const response = await request(`/v1/keys/${key}`, signal);
  const value = await readStart(response);
  if (response.status !== 409) return { response, value };
  const { keyType: type = '', urlTemplate } = wrongTypeIn(value.bytes);
  if (urlTemplate === undefined) return { response, value };
  const other = await request(urlTemplate.replace('{key}', key), signal);
  return { response: other, value: await readStart(other), type };
}

/** Parses the problem of a key of another type. */
function wrongTypeIn(body: Uint8Array): { readonly keyType?: string; readonly urlTemplate?: string } {
  try {
    const { keyType, urlTemplate } = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;
    if (typeof keyType === 'string' && typeof urlTemplate === 'string') return { keyType, urlTemplate };
  } catch {
    // A response of a gateway in front of the proxy.
  }
  return {};
}

/**
 * Sends the request past the browser's own cache. With `no-store` browsers add `Cache-Control: no-cache`, which would
 * bypass the proxy's cache as well, unless the header is set: `no-transform` has no effect here.
 */
function request(path: string, signal: AbortSignal): Promise<Response> {
  const bypass = element('bypass-cache', HTMLInputElement).checked;
  // Relative, so that it works behind a path prefix; the proxy has named another path if reads are at another port.
  const reads = document.querySelector<HTMLMetaElement>('meta[name=reads]')?.content ?? '.';
  return fetch(`${reads}${path}`, {
    headers: { ...tokenHeader('access-token'), 'Cache-Control': bypass ? 'no-cache' : 'no-transform' },
    cache: 'no-store',
    signal,
  });
}

async function readStart(response: Response): Promise<Value> {
  const bytes = new Uint8Array(MAX_PREVIEW_BYTES);
  let read = 0;
  let isCut = false;
  const reader = response.body?.getReader();
  while (reader !== undefined && !isCut) {
    const { done, value } = await reader.read();
    if (done) break;
    isCut = read + value.length > MAX_PREVIEW_BYTES;
    bytes.set(value.subarray(0, MAX_PREVIEW_BYTES - read), read);
    read = Math.min(read + value.length, MAX_PREVIEW_BYTES);
  }
  void reader?.cancel();
  const length = Number(response.headers.get('content-length') ?? read);
  const coding = response.headers.get('content-encoding') ?? undefined;
  return { bytes: bytes.subarray(0, read), isCut, length, coding };
}

function show({ response, value, type }: Found): void {
  const { status, statusText, headers, ok } = response;
  const explanation = explainCacheStatus(headers.get('cache-status'), status) ?? '';
  const sent = value.coding === undefined ? inBytes(value.length) : `${inBytes(value.length)} as ${value.coding}`;
  const size = type === undefined ? sent : `${sent} (${type})`;
  const detail = ok ? `, ${size}` : `: ${problemText(status, new TextDecoder().decode(value.bytes))}`;
  showSummary(ok ? 'good' : 'bad', `${status} ${statusText}${detail}`, explanation);
  showHeaders(headers);
  shown = ok ? value : undefined;
  if (shown !== undefined) {
    element(`format-${bestFormat(shown.bytes, shown.isCut)}`, HTMLInputElement).checked = true;
  }
  showValue();
}

/** Shows the result in a line, and clears the value and the headers of the previous lookup. */
function showSummary(level: 'good' | 'bad', summary: string, explanation: string): void {
  element('result', HTMLElement).dataset.level = level;
  element('result-details', HTMLElement).hidden = true;
  setText('result-summary', summary);
  setText('result-explanation', explanation);
  shown = undefined;
}

function showHeaders(headers: Headers): void {
  element('result-details', HTMLElement).hidden = false;
  const body = element('result-headers', HTMLTableSectionElement);
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
  const holder = element('result-value', HTMLElement);
  holder.hidden = shown === undefined;
  if (shown === undefined) return;
  const format = PREVIEW_FORMATS.find((each) => element(`format-${each}`, HTMLInputElement).checked) ?? 'text';
  const { isCut, length, coding } = shown;
  const { text, shown: bytes } = preview(shown.bytes, isCut, format);
  element('value', HTMLElement).classList.toggle('columns', format === 'hex');
  setText('value', text);
  const note = shown.bytes.length === 0 ? 'Empty value (0 bytes).' : '';
  const whole = coding === undefined ? inBytes(length) : 'the decompressed value';
  setText('value-note', isCut || bytes < shown.bytes.length ? `First ${inBytes(bytes)} of ${whole}.` : note);
}
