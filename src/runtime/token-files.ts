import { readFile, stat } from 'node:fs/promises';
import { Logger } from '@nestjs/common';
import type { Secret } from '../config/secret.ts';
import type { Settings } from '../config/settings.ts';
import { areTokens, secretIn, tokensIn } from '../config/tokens.ts';

/** Milliseconds between two looks at the files. */
const LOOK_MS = 1000;
const MAX_FILE_BYTES = 64 * 1024;

/** What a look at a file has found: tokens, separated by commas, or why there are none. */
type Found = { readonly tokens: string } | { readonly problem: string };

interface Door {
  readonly setting: 'ACCESS_TOKEN_FILE' | 'ADMIN_TOKEN_FILE';
  readonly file: string;
  /** The tokens that are valid. */
  tokens: string;
  /** What the look before this one has found. */
  latest: Found;
  /** What was wrong when that was last told. */
  problem: string | undefined;
}

/**
 * Looks at the files of the tokens again and again, by their content: that is found however it was changed, by writing,
 * renaming, or another target of a symbolic link on the way to it. What is found counts when it is found twice, since a
 * file may be half written. Tokens that cannot be read stay as they were.
 */
export class TokenFiles {
  readonly #logger: Pick<Logger, 'log' | 'warn'>;
  readonly #use: (settings: Settings) => void;
  readonly #doors: Door[] = [];
  #settings: Settings;
  #looking = false;

  /** @param use told of the settings with other tokens. */
  constructor(
    settings: Settings,
    use: (settings: Settings) => void,
    logger: Pick<Logger, 'log' | 'warn'> = new Logger('Tokens'),
  ) {
    this.#logger = logger;
    this.#settings = settings;
    this.#use = use;
    const { access, adminTokens, adminTokenFile } = settings;
    this.#add('ACCESS_TOKEN_FILE', access.tokenFile, access.tokens);
    this.#add('ADMIN_TOKEN_FILE', adminTokenFile, adminTokens);
  }

  /** Looks at the files from now on. Keeps no process alive. */
  watch(): void {
    if (this.#doors.length > 0) setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Looks at the files once, unless that is being done. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const changed = await Promise.all(this.#doors.map((door) => this.#lookAt(door)));
      if (changed.includes(true)) this.#use((this.#settings = this.#changedSettings()));
    } finally {
      this.#looking = false;
    }
  }

  #add(setting: Door['setting'], file: string | undefined, valid: readonly Secret[]): void {
    if (file === undefined) return;
    const tokens = valid.map((token) => token.reveal()).join(',');
    this.#doors.push({ setting, file, tokens, latest: { tokens }, problem: undefined });
  }

  /** Whether there are other tokens. */
  async #lookAt(door: Door): Promise<boolean> {
    const found = await read(door.file);
    const settled = isSame(found, door.latest);
    door.latest = found;
    if (!settled) return false;
    if ('problem' in found) {
      if (found.problem !== door.problem) {
        this.#logger.warn(`${door.setting}: ${found.problem}; the tokens that it held before stay valid`);
      }
      door.problem = found.problem;
      return false;
    }
    if (door.problem !== undefined) this.#logger.log(`${door.setting}: can be used again`);
    door.problem = undefined;
    if (found.tokens === door.tokens) return false;
    this.#logger.log(`${door.setting}: ${difference(door.tokens, found.tokens)}`);
    door.tokens = found.tokens;
    return true;
  }

  #changedSettings(): Settings {
    const { access, adminTokens } = this.#settings;
    return Object.freeze({
      ...this.#settings,
      access: Object.freeze({ ...access, tokens: this.#tokensOf('ACCESS_TOKEN_FILE') ?? access.tokens }),
      adminTokens: this.#tokensOf('ADMIN_TOKEN_FILE') ?? adminTokens,
    });
  }

  #tokensOf(setting: Door['setting']): readonly Secret[] | undefined {
    const door = this.#doors.find((each) => each.setting === setting);
    return door === undefined ? undefined : Object.freeze(tokensIn(door.tokens));
  }
}

async function read(file: string): Promise<Found> {
  try {
    const stats = await stat(file);
    // A pipe gives what is in it once; another read of it would wait for ever.
    if (!stats.isFile()) return { problem: 'is no plain file' };
    if (stats.size > MAX_FILE_BYTES) return { problem: `is larger than ${MAX_FILE_BYTES} bytes` };
    const tokens = secretIn(await readFile(file, 'utf8'));
    if (tokens === '') return { problem: 'is empty' };
    return areTokens(tokens) ? { tokens } : { problem: 'does not hold tokens of visible ASCII, separated by commas' };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})` };
  }
}

function isSame(one: Found, other: Found): boolean {
  if ('problem' in one) return 'problem' in other && one.problem === other.problem;
  return 'tokens' in other && one.tokens === other.tokens;
}

/** Counts alone: no part of a token is for the log. */
function difference(before: string, after: string): string {
  const [old, now] = [new Set(before.split(',')), new Set(after.split(','))];
  const added = [...now].filter((token) => !old.has(token)).length;
  const gone = [...old].filter((token) => !now.has(token)).length;
  return `${now.size} valid now, ${added} of them new; ${gone} valid no more`;
}
