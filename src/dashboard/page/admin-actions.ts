import { element, setText } from './element.ts';
import { failureText, problemText, tokenHeader, typedKey } from './key-request.ts';

const TOKEN_NEEDED = 'This takes the admin token.';

/** Has the buttons purge and flush. The token stays in its field: it is kept nowhere, and gone with the page. */
export function serveOperators(): void {
  element('purge', HTMLButtonElement).addEventListener('click', () => void run(purge));
  const sure = element('flush-dialog', HTMLDialogElement);
  element('flush', HTMLButtonElement).addEventListener('click', () => void run(() => askFirst(sure)));
  element('flush-no', HTMLButtonElement).addEventListener('click', () => sure.close());
  element('flush-yes', HTMLButtonElement).addEventListener('click', () => {
    sure.close();
    void run(flush);
  });
}

/** Does it, and says what came of it. */
async function run(operation: () => Promise<string> | string): Promise<void> {
  try {
    say('good', await operation());
  } catch (error) {
    say('bad', error instanceof Refusal ? error.message : (failureText(error) ?? ''));
  }
}

function askFirst(sure: HTMLDialogElement): string {
  tokenHeader('admin-token', TOKEN_NEEDED);
  sure.showModal();
  return '';
}

async function purge(): Promise<string> {
  const { purged } = (await remove(`v1/cache/${typedKey()}`)) as { purged: boolean };
  return purged ? 'The key is purged: the next read loads it from Redis.' : 'The cache did not hold the key.';
}

async function flush(): Promise<string> {
  const { flushed } = (await remove('v1/cache')) as { flushed: number };
  return `The cache is empty: ${flushed} ${flushed === 1 ? 'entry is' : 'entries are'} forgotten.`;
}

class Refusal extends Error {}

async function remove(path: string): Promise<unknown> {
  const response = await fetch(path, { method: 'DELETE', headers: tokenHeader('admin-token', TOKEN_NEEDED) });
  if (!response.ok) throw new Refusal(problemText(response.status, await response.text()));
  return response.json();
}

function say(level: 'good' | 'bad', text: string): void {
  element('operated', HTMLElement).dataset.level = level;
  setText('operated', text);
}
