import { readFileSync } from 'node:fs';
import GithubSlugger from 'github-slugger';
import { type Token, lexer, walkTokens } from 'marked';

const ROOT = new URL('../../', import.meta.url);

/** A Markdown file of the project, as its readers see it. */
export class Page {
  readonly text: string;
  readonly #tokens: Token[] = [];

  /** @param path from the top of the project. */
  constructor(path: string) {
    this.text = readFileSync(new URL(path, ROOT), 'utf8');
    void walkTokens(lexer(this.text), (token) => void this.#tokens.push(token));
  }

  /** Where its links and pictures lead, as it writes them. */
  get targets(): string[] {
    return this.#tokens.flatMap((token) =>
      token.type === 'link' || token.type === 'image' ? [String(token.href)] : [],
    );
  }

  /** What a link may name behind its `#`: the headings, as GitHub turns them into anchors. */
  get anchors(): Set<string> {
    const slugger = new GithubSlugger();
    return new Set(this.#tokens.flatMap((token) => (token.type === 'heading' ? [slugger.slug(plainText(token))] : [])));
  }

  /** What is in its fenced blocks of a language. */
  blocks(language: string): string[] {
    return this.#tokens.flatMap((token) =>
      token.type === 'code' && token.lang === language ? [String(token.text)] : [],
    );
  }

  /** The cells of its tables' rows, as they are written, under a heading with this first cell. */
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
