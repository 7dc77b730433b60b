import { readFile, stat } from 'node:fs/promises';
import { Logger } from '@nestjs/common';
import type { Secret } from '../config/secret.ts';
import type { Settings } from '../config/settings.ts';
import { areTokens, secretIn, tokensIn } from '../config/tokens.ts';

/** Milliseconds between two polls of the files. */
const POLL_MS = 1000;
const MAX_FILE_BYTES = 64 * 1024;

/** The content of a file: tokens, separated by commas, or the reason why there are none. */
type Content = { readonly tokens: string } | { readonly problem: string };

interface TokenFile {
  readonly setting: 'ACCESS_TOKEN_FILE' | 'ADMIN_TOKEN_FILE';
  readonly path: string;
  /** The valid tokens, separated by commas. */
  tokens: string;
  /** The content at the previous poll. */
  latest: Content;
  /** The problem that was logged last, if it persists. */
  problem: string | undefined;
}

/**
 * Polls the token files and reloads them when their content changes, by writing, renaming or a new target of a symbolic link
 * in their path. A new content counts when two polls in a row find it, since a file may be partially written. The tokens of
 * a file that becomes unusable stay valid.
 */
export class TokenFiles {
  readonly #logger: Pick<Logger, 'log' | 'warn'>;
  readonly #use: (settings: Settings) => void;
  readonly #files: TokenFile[] = [];
  #settings: Settings;
  #polling = false;

  /** @param use called with the settings whenever tokens have changed. */
  constructor(
    settings: Settings,
    use: (settings: Settings) => void,
    logger: Pick<Logger, 'log' | 'warn'> = new Logger('Tokens'),
  ) {
    this.#logger = logger;
    this.#settings = settings;
    this.#use = use;
    const { access, admin } = settings;
    this.#add('ACCESS_TOKEN_FILE', access.tokenFile, access.tokens);
    this.#add('ADMIN_TOKEN_FILE', admin.tokenFile, admin.tokens);
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
      const changed = await Promise.all(this.#files.map((file) => this.#check(file)));
      if (changed.includes(true)) this.#use((this.#settings = this.#changedSettings()));
    } finally {
      this.#polling = false;
    }
  }

  #add(setting: TokenFile['setting'], path: string | undefined, valid: readonly Secret[]): void {
    if (path === undefined) return;
    const tokens = valid.map((token) => token.reveal()).join(',');
    this.#files.push({ setting, path, tokens, latest: { tokens }, problem: undefined });
  }

  /** Reads a file and returns whether its tokens have changed. */
  async #check(file: TokenFile): Promise<boolean> {
    const found = await read(file.path);
    const settled = isSame(found, file.latest);
    file.latest = found;
    if (!settled) return false;
    if ('problem' in found) {
      if (found.problem !== file.problem) {
        this.#logger.warn(`${file.setting}: ${found.problem}; keeping the previously loaded tokens`);
      }
      file.problem = found.problem;
      return false;
    }
    if (file.problem !== undefined) this.#logger.log(`${file.setting}: readable again`);
    file.problem = undefined;
    if (found.tokens === file.tokens) return false;
    this.#logger.log(`${file.setting} reloaded: ${difference(file.tokens, found.tokens)}`);
    file.tokens = found.tokens;
    return true;
  }

  #changedSettings(): Settings {
    const { access, admin } = this.#settings;
    return Object.freeze({
      ...this.#settings,
      access: Object.freeze({ ...access, tokens: this.#tokensOf('ACCESS_TOKEN_FILE') ?? access.tokens }),
      admin: Object.freeze({ ...admin, tokens: this.#tokensOf('ADMIN_TOKEN_FILE') ?? admin.tokens }),
    });
  }

  #tokensOf(setting: TokenFile['setting']): readonly Secret[] | undefined {
    const file = this.#files.find((each) => each.setting === setting);
    return file === undefined ? undefined : Object.freeze(tokensIn(file.tokens));
  }
}

async function read(path: string): Promise<Content> {
  try {
    const stats = await stat(path);
    // A pipe can be read only once; a second read would wait for ever.
    if (!stats.isFile()) return { problem: 'is not a regular file' };
    if (stats.size > MAX_FILE_BYTES) return { problem: `is larger than ${MAX_FILE_BYTES} bytes` };
    const tokens = secretIn(await readFile(path, 'utf8'));
    if (tokens === '') return { problem: 'is empty' };
    return areTokens(tokens)
      ? { tokens }
      : { problem: 'does not contain tokens of visible ASCII characters, separated by commas' };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})` };
  }
}

function isSame(one: Content, other: Content): boolean {
  if ('problem' in one) return 'problem' in other && one.problem === other.problem;
  return 'tokens' in other && one.tokens === other.tokens;
}

/** Returns the numbers of tokens for the log, which must not contain any part of a token. */
function difference(before: string, after: string): string {
  const [old, now] = [new Set(before.split(',')), new Set(after.split(','))];
  const added = [...now].filter((token) => !old.has(token)).length;
  const removed = [...old].filter((token) => !now.has(token)).length;
  return `${now.size} ${now.size === 1 ? 'token' : 'tokens'} (${added} added, ${removed} removed)`;
}
