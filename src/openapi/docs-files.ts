import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';

/** Where the build writes the files (write-docs.ts). */
export const DOCS_FOLDER = join(import.meta.dirname, 'docs');

/** Files of the API page that are made at build time: one set for each document, which depends on the settings. */
export type DocsFile = 'index.html' | 'swagger-ui-init.js' | 'openapi.json';

/** The settings, as environment variables, that the OpenAPI document depends on, by the name of the folder of its files. */
export const DOCUMENT_VARIANTS = {
  open: {},
  tokens: { ACCESS_TOKEN: 'any-token', UPSTASH_REST_API: 'off' },
  upstash: { ACCESS_TOKEN: 'any-token', UPSTASH_REST_API: 'on' },
} as const;

/** Reads the files of the API page for some settings, each once, when it is first requested. */
export class DocsFiles {
  readonly #folder: string;
  readonly #read = new Map<DocsFile, string>();

  constructor(settings: Pick<Settings, 'access' | 'upstash'>) {
    this.#folder = join(DOCS_FOLDER, variantOf(settings));
  }

  text(name: DocsFile): string {
    const text = this.#read.get(name) ?? readFileSync(join(this.#folder, name), 'utf8');
    this.#read.set(name, text);
    return text;
  }
}

function variantOf({ access, upstash }: Pick<Settings, 'access' | 'upstash'>): keyof typeof DOCUMENT_VARIANTS {
  if (upstash.on) return 'upstash';
  return access.tokens.length > 0 ? 'tokens' : 'open';
}
