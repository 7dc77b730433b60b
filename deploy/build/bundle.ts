/**
 * Makes dist/, which is what runs, from build/, the compiled modules: one bundle for the main thread, one for worker threads,
 * with the packages that they use, and the licences of these. A step of `npm run build`; see docs/decisions/0035-bundles.md.
 */
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { type Metafile, type Plugin, build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'build');
const DIST = join(ROOT, 'dist');
const NODE_MODULES = `${sep}node_modules${sep}`;
const SWAGGER_UI = join(ROOT, 'node_modules/swagger-ui-dist');
const RXJS = join(ROOT, 'node_modules/rxjs/dist/esm');

/** A module without exports, in place of a package that is required, but never used. */
const NEVER_USED = 'data:text/javascript,';

/**
 * Modules that use much of a package. To compile one file of all packages V8 needs 7 MiB at once, which the allocator of a
 * thread keeps.
 */
const WORKER_PARTS = [
  'http/server/proxy-http-adapter.js',
  'config/config.module.js',
  'cache/cache.module.js',
  'redis/redis.module.js',
];

/** The package whose template `openapi/docs` is made from. */
const PAGE_TEMPLATE = 'node_modules/@nestjs/swagger';

/** Files and folders of build/ that are served or run as they are. */
const COPIED = ['main.js', 'cli.js', 'dashboard/page', 'openapi/docs'];

/**
 * esbuild keeps a module of a package that may have side effects. Those of NestJS have none but the definition of their own
 * classes; without this, a worker has each interceptor, pipe and file upload of NestJS, and all of rxjs.
 */
const WITHOUT_SIDE_EFFECTS = /[/\\]node_modules[/\\]@nestjs[/\\]/;

/** What the plugins do not look at a second time. */
const RESOLVED = { resolved: true };

/** Shakes NestJS, and leaves out what its packages import on demand: optional packages that the proxy does not use. */
const packages: Plugin = {
  name: 'packages',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^@nestjs\/|^\./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (kind === 'entry-point' || pluginData === RESOLVED) return undefined;
      if (kind === 'dynamic-import' && importer.includes(NODE_MODULES)) return { path, external: true };
      const { errors, path: found } = await esbuild.resolve(path, { kind, importer, resolveDir, pluginData: RESOLVED });
      if (errors.length > 0) return kind === 'require-call' ? { path, external: true } : { errors };
      return { path: found, sideEffects: !WITHOUT_SIDE_EFFECTS.test(found) };
    });
    esbuild.onResolve({ filter: /^[^@.]/ }, ({ path, kind, importer }) =>
      kind === 'dynamic-import' && importer.includes(NODE_MODULES) ? { path, external: true } : undefined,
    );
  },
};

/** Importing node:http as an ES module reads all its properties, and one of them loads undici: 2 MiB and 20 ms per thread. */
const nodeHttp: Plugin = {
  name: 'node-http',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^(?:node:)?http$/ }, () => ({ path: 'node:http', namespace: 'node-http' }));
    esbuild.onLoad({ filter: /./, namespace: 'node-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};

/**
 * Keeps only the media types of Swagger UI's files, the only ones that Express looks up: the list of all known types takes
 * more than a MiB per thread.
 */
const mediaTypes: Plugin = {
  name: 'media-types',
  setup(esbuild) {
    const served = new Set(readdirSync(SWAGGER_UI).map((file) => extname(file).slice(1)));
    esbuild.onLoad({ filter: /[/\\]mime-db[/\\]db\.json$/ }, async ({ path }) => {
      const types = JSON.parse(await readFile(path, 'utf8')) as Record<string, { readonly extensions?: string[] }>;
      const kept = Object.entries(types).filter(([, { extensions = [] }]) =>
        extensions.some((each) => served.has(each)),
      );
      return { contents: JSON.stringify(Object.fromEntries(kept)), loader: 'json' };
    });
  },
};

/** Has modules of the proxy find files relative to their own place, although they are now part of `bundle`. */
function ownPlaces(bundle: string): Plugin {
  return {
    name: 'own-places',
    setup(esbuild) {
      esbuild.onLoad({ filter: /\.js$/ }, async ({ path }) => {
        if (!path.startsWith(BUILD + sep)) return undefined;
        const place = relative(dirname(bundle), join(DIST, relative(BUILD, path)));
        return { contents: withOwnPlace(await readFile(path, 'utf8'), place) };
      });
    },
  };
}

function withOwnPlace(code: string, place: string): string {
  const url = `new URL(${JSON.stringify(place.replaceAll(sep, '/'))},import.meta.url)`;
  const folder = JSON.stringify(dirname(place).replaceAll(sep, '/'));
  return code.replaceAll(/\bimport\.meta\.(dirname|url)\b/g, (_found, name) =>
    name === 'url' ? `${url}.href` : `process.getBuiltinModule("node:path").join(import.meta.dirname,${folder})`,
  );
}

/**
 * Makes the bundle of the first module. The packages that other modules share with it, or that it imports on demand, are
 * files of their own.
 */
async function bundle([entry, ...others]: readonly string[]): Promise<Metafile> {
  const folder = dirname(entry);
  const { metafile } = await build({
    entryPoints: [entry, ...others].map((module) => join(BUILD, module)),
    outdir: join(DIST, folder),
    entryNames: '[name]',
    chunkNames: `${basename(entry, '.js')}-[hash]`,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // rxjs and class-validator name their ES modules, of which esbuild takes only what is used, for browsers alone.
    mainFields: ['module', 'main'],
    alias: {
      rxjs: join(RXJS, 'index.js'),
      'rxjs/operators': join(RXJS, 'operators/index.js'),
      // Express loads it for its own middleware; the proxy reads bodies itself (request/read-body.ts).
      'body-parser': NEVER_USED,
      // The extended query parser of Express, which is off.
      qs: NEVER_USED,
    },
    // First: decorators use it, and the package of NestJS that imports it is shaken.
    inject: [join(ROOT, 'node_modules/reflect-metadata/Reflect.js')],
    plugins: [packages, nodeHttp, mediaTypes, ownPlaces(join(DIST, entry))],
    // CommonJS packages call it for modules of Node.js. A package may import a module as `process`.
    banner: {
      js: "const require = globalThis.process.getBuiltinModule('node:module').createRequire(import.meta.url);",
    },
    // esbuild renames classes whose names occur twice; NestJS and the log show them.
    keepNames: true,
    // Every thread keeps its text in memory, so it has no comments and indentation. Names and lines remain, for stack traces.
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/** Returns the licences and notices of the packages in the bundles and in the page of the API, ordered by name. */
function licences(metafiles: readonly Metafile[]): string {
  const files = metafiles.flatMap(({ outputs }) => Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs)));
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set([...folders, PAGE_TEMPLATE])]
    .sort()
    .map(licenceOf)
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function licenceOf(folder: string): string {
  const path = join(ROOT, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
  const texts = readdirSync(path)
    .filter((file) => /^(?:licen[cs]e|notice|copyright)/i.test(file))
    .map((file) => `\n${readFileSync(join(path, file), 'utf8').trim()}\n`);
  return `${name} ${version} (${license ?? 'see below'})\n${texts.join('')}`;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

rmSync(DIST, { recursive: true, force: true });
const metafiles = await Promise.all([bundle(['start.js']), bundle(['runtime/worker.js', ...WORKER_PARTS])]);
for (const path of COPIED) {
  cpSync(join(BUILD, path), join(DIST, path), { recursive: true, filter: (source) => !source.endsWith('.map') });
}
writeFileSync(join(DIST, 'THIRD-PARTY-LICENSES.txt'), licences(metafiles));
