import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Settings } from '../../config/settings.ts';
import type { FileContent, SettingFile } from './setting-file.ts';
import { accountFiles } from './account-files.ts';
import { certificateFiles } from './certificate-files.ts';
import { tokenFiles } from './token-files.ts';

/** Milliseconds between two polls of the files. */
const POLL_MS = 1000;
/** Minimum milliseconds between two requested polls. */
const MIN_REQUESTED_MS = 250;
/** Milliseconds between the two polls that must find the same content, if they were requested. */
const SETTLE_MS = 50;

interface PolledFile {
  readonly file: SettingFile;
  /** The content in use. */
  text: string;
  /** The content at the previous poll. */
  latest: FileContent;
  /** The problem that was logged last, if it persists, and the setting whose file has it. */
  problem: { readonly setting: string; readonly text: string } | undefined;
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
  /** Time of the last requested poll by `performance.now()`, and whether one is pending. */
  #requestedAt = -Infinity;
  #isRequested = false;

  /** @param use called with the settings whenever a content has changed. */
  constructor(
    settings: Settings,
    use: (settings: Settings) => void,
    logger: Pick<Logger, 'log' | 'warn' | 'error'> = new Logger('Settings'),
  ) {
    this.#logger = logger;
    this.#settings = settings;
    this.#use = use;
    this.#files = [...tokenFiles(settings), ...certificateFiles(settings), ...accountFiles(settings)].map((file) => ({
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

  /** Polls the files soon, because Redis has rejected the credentials; any number of requests lead to one poll. */
  request(): void {
    if (this.#isRequested || this.#files.length === 0) return;
    this.#isRequested = true;
    void this.#pollRequested(Math.max(0, this.#requestedAt + MIN_REQUESTED_MS - performance.now()));
  }

  async #pollRequested(afterMs: number): Promise<void> {
    await delay(afterMs, undefined, { ref: false });
    this.#isRequested = false;
    this.#requestedAt = performance.now();
    await this.poll();
    const isSettled = this.#files.every(({ latest, text }) => isSame(latest, { text }));
    if (isSettled) return;
    await delay(SETTLE_MS, undefined, { ref: false });
    await this.poll();
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
      const { setting = file.name, problem: text } = found;
      if (text !== polled.problem?.text || setting !== polled.problem.setting) {
        this.#logger[file.severity](`${setting}: ${text}; keeping the previously loaded ${file.what}`);
      }
      polled.problem = { setting, text };
      return false;
    }
    if (polled.problem !== undefined) this.#logger.log(`${polled.problem.setting}: usable again`);
    polled.problem = undefined;
    if (found.text === polled.text) return false;
    this.#logger.log(`${file.name} reloaded: ${file.describe(polled.text, found.text)}`);
    const warning = file.warningOf?.(found.text);
    if (warning !== undefined) this.#logger.warn(warning);
    polled.text = found.text;
    return true;
  }
}

function isSame(one: FileContent, other: FileContent): boolean {
  if ('problem' in one) return 'problem' in other && one.problem === other.problem && one.setting === other.setting;
  return 'text' in other && one.text === other.text;
}
