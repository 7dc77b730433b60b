import { element, setText } from '../element.ts';
import { rate } from '../format.ts';
import { InputError, problemText, tokenHeader } from './key-request.ts';

const REFRESH_MS = 5000;
const SHOWN = 10;

/** The part of the response that is shown. */
interface HotKeys {
  readonly windowSeconds: number;
  readonly keys: readonly {
    readonly key: string | { readonly base64: string };
    readonly keyBytes?: number;
    readonly readsPerSecond: number;
    readonly errorPerSecond: number;
  }[];
}

/** Shows the most read keys every {@link REFRESH_MS} while there is an admin token that the proxy accepts. */
export function bindHotKeys(): void {
  const token = element('admin-token', HTMLInputElement);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const refresh = async (): Promise<void> => {
    clearTimeout(timer);
    const shown = token.value;
    if (shown === '') return showKeys(undefined, 'Enter the admin token to see them.');
    const isAccepted = document.visibilityState === 'hidden' || (await load());
    // A token that was rejected is not sent again until it is changed, which starts another request.
    if (isAccepted && token.value === shown) timer = setTimeout(() => void refresh(), REFRESH_MS);
  };
  token.addEventListener('change', () => void refresh());
  void refresh();
}

/** Requests the keys and shows them; returns whether it is worth to try again. */
async function load(): Promise<boolean> {
  try {
    const response = await fetch(`v1/cache/hot-keys?limit=${SHOWN}`, { headers: tokenHeader('admin-token') });
    if (!response.ok) {
      showKeys(undefined, problemText(response.status, await response.text()));
      return response.status >= 500;
    }
    const hotKeys = (await response.json()) as HotKeys;
    const note = hotKeys.keys.length === 0 ? 'No reads.' : `Last ${Math.round(hotKeys.windowSeconds)} s.`;
    showKeys(hotKeys, note);
  } catch (error) {
    // Unlike the buttons, this must not move the focus.
    showKeys(undefined, error instanceof InputError ? error.message : 'The proxy is unreachable.');
  }
  return true;
}

function showKeys(hotKeys: HotKeys | undefined, note: string): void {
  setText('hot-keys-note', note);
  const body = element('hot-keys-rows', HTMLTableSectionElement);
  body.replaceChildren();
  element('hot-keys-table', HTMLTableElement).hidden = hotKeys === undefined || hotKeys.keys.length === 0;
  for (const { key, keyBytes, readsPerSecond, errorPerSecond } of hotKeys?.keys ?? []) {
    const row = body.insertRow();
    const heading = document.createElement('th');
    heading.scope = 'row';
    const text = typeof key === 'string' ? key : `base64: ${key.base64}`;
    heading.textContent = keyBytes === undefined ? text : `${text}… (${keyBytes} B)`;
    row.append(heading);
    row.insertCell().textContent = `${rate(readsPerSecond)}/s`;
    row.insertCell().textContent = errorPerSecond === 0 ? '' : `± ${rate(errorPerSecond)}`;
  }
}
