import { readFileSync } from 'node:fs';
import GithubSlugger from 'github-slugger';
import { type Token, lexer, walkTokens } from 'marked';

const ROOT = new URL('../../', import.meta.url);

/** A Markdown file of the project. */
export class Page {
  readonly text: string;
  readonly #tokens: Token[] = [];

  /** @param path relative to the root of the project. */
  constructor(path: string) {
    this.text = readFileSync(new URL(path, ROOT), 'utf8');
    void walkTokens(lexer(this.text), (token) => void this.#tokens.push(token));
  }

  /** The targets of links and images, unresolved. */
  get targets(): string[] {
    return this.#tokens.flatMap((token) =>
      token.type === 'link' || token.type === 'image' ? [String(token.href)] : [],
    );
  }

  /** The anchors of the headings, as GitHub generates them. */
  get anchors(): Set<string> {
    const slugger = new GithubSlugger();
    return new Set(this.#tokens.flatMap((token) => (token.type === 'heading' ? [slugger.slug(plainText(token))] : [])));
  }

  /** Returns the contents of the fenced code blocks of a language. */
  blocks(language: string): string[] {
    return this.#tokens.flatMap((token) =>
      token.type === 'code' && token.lang === language ? [String(token.text)] : [],
    );
  }

  /** Returns the rows of all tables whose header begins with this cell, as arrays of Markdown cells. */
  rows(firstHead: string): string[][] {
    return this.#tokens.flatMap((token) =>
      token.type === 'table' && firstCell(token as unknown as Table) === firstHead
        ? rowsOf(token as unknown as Table)
        : [],
    );
  }
}

interface Cell {
  readonly text: string;
}

interface Table {
  readonly header: readonly Cell[];
  readonly rows: readonly (readonly Cell[])[];
}

const firstCell = ({ header }: Table): string => header[0].text;
const rowsOf = ({ rows }: Table): string[][] => rows.map((cells) => cells.map(({ text }) => text));

function plainText(token: Token): string {
  const parts = 'tokens' in token ? token.tokens : undefined;
  return parts === undefined ? String('text' in token ? token.text : '') : parts.map(plainText).join('');
}
