import { element, setText } from '../element.ts';
import { failureText, problemText, tokenHeader, typedKey, typedSelection } from './key-request.ts';

const TOKEN_REQUIRED = 'Admin token required.';

/** Binds the purge and flush buttons. The admin token is never stored outside its field. */
export function bindAdminActions(): void {
  element('purge', HTMLButtonElement).addEventListener('click', () => void run(purge));
  bindMatchingPurges();
  const dialog = element('flush-dialog', HTMLDialogElement);
  element('flush', HTMLButtonElement).addEventListener('click', () => void run(() => confirmFlush(dialog)));
  element('flush-no', HTMLButtonElement).addEventListener('click', () => dialog.close());
  element('flush-yes', HTMLButtonElement).addEventListener('click', () => {
    dialog.close();
    void run(flush);
  });
}

/** Query parameters that select keys, with what their keys do, for people. */
const SELECTIONS = { prefix: 'begin with', pattern: 'match' } as const;
type Selection = keyof typeof SELECTIONS;

function bindMatchingPurges(): void {
  const dialog = element('purge-dialog', HTMLDialogElement);
  /** The query that the dialog asks about: what is typed meanwhile does not change it. */
  let query = '';
  for (const name of ['prefix', 'pattern'] as const) {
    element(`purge-${name}`, HTMLButtonElement).addEventListener('click', () => {
      void run(() => {
        query = confirmPurge(dialog, name);
        return '';
      });
    });
  }
  element('purge-no', HTMLButtonElement).addEventListener('click', () => dialog.close());
  element('purge-yes', HTMLButtonElement).addEventListener('click', () => {
    dialog.close();
    void run(() => purgeMatching(query));
  });
}

/** Asks whether to purge, and returns the query of the request. */
function confirmPurge(dialog: HTMLDialogElement, name: Selection): string {
  const { typed, encoded } = typedSelection(name);
  tokenHeader('admin-token', TOKEN_REQUIRED);
  setText('purge-how', `${SELECTIONS[name]} the ${name}`);
  setText('purge-what', typed);
  dialog.showModal();
  return `${name}=${encoded}`;
}

async function purgeMatching(query: string): Promise<string> {
  const { purged } = (await remove(`v1/cache?${query}`)) as { purged: number };
  return `${purged} ${purged === 1 ? 'entry' : 'entries'} purged.`;
}

/** Runs an action and shows its result or its error. */
async function run(action: () => Promise<string> | string): Promise<void> {
  try {
    showResult('good', await action());
  } catch (error) {
    showResult('bad', error instanceof RequestRejected ? error.message : (failureText(error) ?? ''));
  }
}

function confirmFlush(dialog: HTMLDialogElement): string {
  tokenHeader('admin-token', TOKEN_REQUIRED);
  dialog.showModal();
  return '';
}

async function purge(): Promise<string> {
  const { purged } = (await remove(`v1/cache/${typedKey()}`)) as { purged: boolean };
  return purged ? 'Key purged.' : 'The key was not cached.';
}

async function flush(): Promise<string> {
  const { flushed } = (await remove('v1/cache')) as { flushed: number };
  return `Cache flushed: ${flushed} ${flushed === 1 ? 'entry' : 'entries'} removed.`;
}

class RequestRejected extends Error {}

async function remove(path: string): Promise<unknown> {
  const response = await fetch(path, { method: 'DELETE', headers: tokenHeader('admin-token', TOKEN_REQUIRED) });
  if (!response.ok) throw new RequestRejected(problemText(response.status, await response.text()));
  return response.json();
}

function showResult(level: 'good' | 'bad', text: string): void {
  element('admin-result', HTMLElement).dataset.level = level;
  setText('admin-result', text);
}
