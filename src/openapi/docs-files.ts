import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { LOOKUP_PATH, isOpsRoute } from '../http/server/ops-listener.ts';

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
  readonly #lookup: boolean;
  readonly #read = new Map<DocsFile, string>();

  constructor(settings: Pick<Settings, 'access' | 'upstash' | 'ops'>) {
    this.#folder = join(DOCS_FOLDER, variantOf(settings));
    this.#lookup = settings.ops.port !== undefined;
  }

  text(name: DocsFile): string {
    const text = this.#read.get(name) ?? this.#render(name);
    this.#read.set(name, text);
    return text;
  }

  #render(name: DocsFile): string {
    const read = (file: DocsFile): string => readFileSync(join(this.#folder, file), 'utf8');
    if (!this.#lookup || name === 'index.html') return read(name);
    const { paths } = JSON.parse(read('openapi.json')) as { paths: object };
    return withLookups(read(name), Object.keys(paths));
  }
}

/** The server of the operations that read keys, in the document of the ops listener. */
const LOOKUP_SERVERS = JSON.stringify([
  {
    url: `.${LOOKUP_PATH}`,
    description: 'Reads through OPS_PORT. Clients read at HTTP_PORT, without this part of the path.',
  },
]);

/** Gives each path that the ops listener does not serve itself the server {@link LOOKUP_SERVERS}. */
function withLookups(text: string, paths: readonly string[]): string {
  const isRead = (path: string): boolean => !isOpsRoute('post', path);
  return paths.filter(isRead).reduce((changed, path) => {
    const name = JSON.stringify(path);
    // The page has the document as indented JSON.
    const start = [`${name}:{`, `${name}: {`].find((each) => changed.includes(each)) ?? '';
    return changed.replace(start, () => `${start}"servers":${LOOKUP_SERVERS},`);
  }, text);
}

function variantOf({ access, upstash }: Pick<Settings, 'access' | 'upstash'>): keyof typeof DOCUMENT_VARIANTS {
  if (upstash.on) return 'upstash';
  return access.tokens.length > 0 ? 'tokens' : 'open';
}
