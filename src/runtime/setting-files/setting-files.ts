import { Logger } from '@nestjs/common';
import type { Settings } from '../../config/settings.ts';
import type { FileContent, SettingFile } from './setting-file.ts';
import { certificateFiles } from './certificate-files.ts';
import { tokenFiles } from './token-files.ts';

/** Milliseconds between two polls of the files. */
const POLL_MS = 1000;

interface PolledFile {
  readonly file: SettingFile;
  /** The content in use. */
  text: string;
  /** The content at the previous poll. */
  latest: FileContent;
  /** The problem that was logged last, if it persists. */
  problem: string | undefined;
}

/**
 * Polls the files of settings and reloads them when their content changes, by writing, renaming or a new target of a symbolic
 * link in their path. A new content counts when two polls in a row find it, since a file may be partially written. The
 * content of a file that becomes unusable stays in use.
 */
export class SettingFiles {
  readonly #logger: Pick<Logger, 'log' | 'warn' | 'error'>;
  readonly #use: (settings: Settings) => void;
  readonly #files: readonly PolledFile[];
  #settings: Settings;
  #polling = false;

  /** @param use called with the settings whenever a content has changed. */
  constructor(
    settings: Settings,
    use: (settings: Settings) => void,
    logger: Pick<Logger, 'log' | 'warn' | 'error'> = new Logger('Settings'),
  ) {
    this.#logger = logger;
    this.#settings = settings;
    this.#use = use;
    this.#files = [...tokenFiles(settings), ...certificateFiles(settings)].map((file) => ({
      file,
      text: file.initial,
      latest: { text: file.initial },
      problem: undefined,
    }));
  }

  /** Starts polling. The timer does not keep the process alive. */
  watch(): void {
    if (this.#files.length > 0) setInterval(() => void this.poll(), POLL_MS).unref();
  }

  /** Polls the files once, unless a poll is in progress. */
  async poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const changed = await Promise.all(this.#files.map((polled) => this.#check(polled)));
      if (!changed.includes(true)) return;
      this.#settings = this.#files.reduce((settings, { file, text }) => file.apply(settings, text), this.#settings);
      this.#use(this.#settings);
    } finally {
      this.#polling = false;
    }
  }

  /** Reads a file and returns whether its content has changed. */
  async #check(polled: PolledFile): Promise<boolean> {
    const { file } = polled;
    const found = await file.read();
    const settled = isSame(found, polled.latest);
    polled.latest = found;
    if (!settled) return false;
    if ('problem' in found) {
      if (found.problem !== polled.problem) {
        const setting = found.setting ?? file.name;
        this.#logger[file.severity](`${setting}: ${found.problem}; keeping the previously loaded ${file.what}`);
      }
      polled.problem = found.problem;
      return false;
    }
    if (polled.problem !== undefined) this.#logger.log(`${file.name}: readable again`);
    polled.problem = undefined;
    if (found.text === polled.text) return false;
    this.#logger.log(`${file.name} reloaded: ${file.describe(polled.text, found.text)}`);
    polled.text = found.text;
    return true;
  }
}

function isSame(one: FileContent, other: FileContent): boolean {
  if ('problem' in one) return 'problem' in other && one.problem === other.problem;
  return 'text' in other && one.text === other.text;
}
