import type { Express } from 'express';

/** A layer of Express' router, as far as it is asked here. */
interface Layer {
  /** Absent: the layer is middleware. */
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): boolean;
}

/** Methods in the order in which they are listed. */
const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Returns the methods that the routes at a path have, in the order of an Allow header; none if there is no route. OPTIONS
 * is not listed: it answers nothing but preflight requests.
 */
export function methodsAt(app: Express, path: string): string[] {
  return methodsOf(layersOf(app).filter((layer) => layer.route !== undefined && layer.match(path)));
}

/** Returns the methods that any route has. */
export function allMethods(app: Express): string[] {
  return methodsOf(layersOf(app));
}

function layersOf(app: Express): readonly Layer[] {
  return app.router.stack as unknown as readonly Layer[];
}

function methodsOf(layers: readonly Layer[]): string[] {
  const methods = new Set(layers.flatMap(({ route }) => Object.keys(route?.methods ?? {})));
  // Express answers HEAD wherever there is GET.
  if (methods.has('get')) methods.add('head');
  return ORDER.filter((method) => methods.has(method.toLowerCase()));
}
