import type { Express } from 'express';

/** The parts of a layer of Express' router that are used here. */
interface Layer {
  /** Absent: the layer is middleware. */
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): boolean;
}

/** Methods in the order in which they are listed. */
const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Returns the methods of the routes at a path, in the order of an Allow header; empty if there is no route. OPTIONS is not
 * listed, because it serves preflight requests only.
 */
export function methodsAt(app: Express, path: string): string[] {
  return methodsOf(layersOf(app).filter((layer) => layer.route !== undefined && layer.match(path)));
}

/** Returns the methods of all routes. */
export function allMethods(app: Express): string[] {
  return methodsOf(layersOf(app));
}

function layersOf(app: Express): readonly Layer[] {
  return app.router.stack as unknown as readonly Layer[];
}

function methodsOf(layers: readonly Layer[]): string[] {
  const methods = new Set(layers.flatMap(({ route }) => Object.keys(route?.methods ?? {})));
  // Express serves HEAD with the handler of GET.
  if (methods.has('get')) methods.add('head');
  return ORDER.filter((method) => methods.has(method.toLowerCase()));
}
