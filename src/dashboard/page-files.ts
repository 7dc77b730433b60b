import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import type { HttpResponse } from '../http/response/http-response.ts';
import { etagMatches } from '../http/response/conditional.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The path of each file by the name under which the page asks for it. */
export type PageFileList = Readonly<Record<string, string>>;

/** What the dashboard consists of. */
export function dashboardFiles(): PageFileList {
  const page = join(import.meta.dirname, 'page');
  const own = readdirSync(page).filter((name) => extname(name) in TYPES);
  const charts = dirname(createRequire(import.meta.url).resolve('uplot'));
  return {
    ...Object.fromEntries(own.map((name) => [name, join(page, name)])),
    'uplot.js': join(charts, 'uPlot.iife.min.js'),
    'uplot.css': join(charts, 'uPlot.min.css'),
  };
}

interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
}

/** A few small files, held in memory and answered with a validator. */
export class PageFiles {
  readonly #files: ReadonlyMap<string, PageFile>;

  /** @throws when a file cannot be read. */
  constructor(list: PageFileList) {
    this.#files = new Map(Object.entries(list).map(([name, path]) => [name, readFile(path)]));
  }

  /** The answer to `GET` for a file; undefined when there is none of that name. */
  answer(name: string, ifNoneMatch: string | undefined): HttpResponse | undefined {
    const file = this.#files.get(name);
    if (file === undefined) return undefined;
    const { type, etag, body } = file;
    // Names stay when contents change, so browsers are to ask each time: mostly the answer is a 304.
    const headers = ['ETag', etag, 'Cache-Control', 'no-cache'];
    if (ifNoneMatch !== undefined && etagMatches(ifNoneMatch, etag)) return { status: 304, headers, body: undefined };
    headers.push('Content-Type', type, 'Content-Length', String(body.length));
    return { status: 200, headers, body };
  }
}

function readFile(path: string): PageFile {
  const type = TYPES[extname(path)];
  if (type === undefined) throw new Error(`no media type is known for ${path}`);
  const body = readFileSync(path);
  return { type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`, body };
}
