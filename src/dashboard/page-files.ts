import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join, sep } from 'node:path';
import type { HttpResponse } from '../http/response/http-response.ts';
import { etagMatches } from '../http/response/conditional.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Paths in the file system by the path below `/dashboard/` at which the file is served. */
export type PageFileList = Readonly<Record<string, string>>;

/** Lists the files of the dashboard, those of uPlot included. */
export function dashboardFiles(): PageFileList {
  const page = join(import.meta.dirname, 'page');
  const own = readdirSync(page, { recursive: true, encoding: 'utf8' }).filter((path) => extname(path) in TYPES);
  const charts = dirname(createRequire(import.meta.url).resolve('uplot'));
  return {
    ...Object.fromEntries(own.map((path) => [path.replaceAll(sep, '/'), join(page, path)])),
    'uplot.js': join(charts, 'uPlot.iife.min.js'),
    'uplot.css': join(charts, 'uPlot.min.css'),
  };
}

interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
}

/** What `index.html` names as the path of reads, relative to the page. */
const READS_AT_PAGE = '<meta name="reads" content="." />';

/** Serves a few small files, each with an ETag, and from memory once it has been requested. */
export class PageFiles {
  readonly #list: ReadonlyMap<string, string>;
  readonly #readsPath: string;
  readonly #files = new Map<string, PageFile>();

  /** @param readsPath path of the reads relative to the page. */
  constructor(list: PageFileList, readsPath = '.') {
    this.#list = new Map(Object.entries(list));
    this.#readsPath = readsPath;
  }

  /**
   * Returns the response to a GET request for a file; undefined if there is no file at that path.
   *
   * @throws if the file cannot be read.
   */
  responseFor(path: string, ifNoneMatch: string | undefined): HttpResponse | undefined {
    const file = this.#file(path);
    if (file === undefined) return undefined;
    const { type, etag, body } = file;
    // Paths do not change with the content, so browsers must revalidate each time; most responses are 304.
    const headers = ['ETag', etag, 'Cache-Control', 'no-cache'];
    if (ifNoneMatch !== undefined && etagMatches(ifNoneMatch, etag)) return { status: 304, headers, body: undefined };
    headers.push('Content-Type', type, 'Content-Length', String(body.length));
    return { status: 200, headers, body };
  }

  #file(served: string): PageFile | undefined {
    const path = this.#list.get(served);
    const file = this.#files.get(served) ?? (path === undefined ? undefined : readFile(path, this.#readsPath));
    if (file !== undefined) this.#files.set(served, file);
    return file;
  }
}

function readFile(path: string, readsPath: string): PageFile {
  const type = TYPES[extname(path)];
  if (type === undefined) throw new Error(`unknown media type: ${path}`);
  const content = readFileSync(path);
  const isPage = extname(path) === '.html';
  const body = isPage
    ? Buffer.from(String(content).replace(READS_AT_PAGE, READS_AT_PAGE.replace('"."', `"${readsPath}"`)))
    : content;
  return { type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`, body };
}
