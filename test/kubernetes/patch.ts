import { type Json, type JsonObject, isObject } from './manifest.ts';

/** Lists whose items are merged, with the field that identifies an item (Kubernetes API). */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
};

/**
 * Applies a strategic merge patch: objects and the items of some lists are merged, with new items first, and everything else
 * is replaced.
 */
export function merged(target: Json | undefined, patch: Json, field = ''): Json {
  if (isObject(patch)) {
    if ('$patch' in patch) throw new Error('$patch is not supported here');
    const result: JsonObject = isObject(target) ? { ...target } : {};
    for (const [name, value] of Object.entries(patch)) {
      if (value === null) delete result[name];
      else result[name] = merged(result[name], value, name);
    }
    return result;
  }
  if (!Array.isArray(patch) || !patch.some(isObject) || target === undefined) return structuredClone(patch);
  const key = MERGE_KEYS[field];
  if (key === undefined) throw new Error(`unknown merge key of the list ${field}`);
  const items = Array.isArray(target) ? [...target] : [];
  const isSame = (one: Json, other: Json) => isObject(one) && isObject(other) && one[key] === other[key];
  const added = patch.filter((item) => !items.some((other) => isSame(item, other)));
  const kept = items.map((item) => {
    const change = patch.find((other) => isSame(item, other));
    return change === undefined ? item : merged(item, change);
  });
  return [...structuredClone(added), ...kept];
}

/** An operation of a JSON patch (RFC 6902). */
export interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: Json;
}

/** Applies the operations to the target in place. */
export function applyOperations(target: JsonObject, operations: readonly Operation[]): void {
  for (const { op, path, value } of operations) {
    const names = path
      .split('/')
      .slice(1)
      .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = names.pop() ?? '';
    let parent: Json = target;
    for (const name of names) parent = (parent as JsonObject)[name] ?? missing(path);
    if (!isObject(parent)) throw new Error(`${path}: lists are not supported here`);
    if (op !== 'add' && !(last in parent)) missing(path);
    if (op === 'remove') delete parent[last];
    else if (op === 'add' || op === 'replace') parent[last] = structuredClone(value ?? null);
    else throw new Error(`${op} is not supported here`);
  }
}

function missing(path: string): never {
  throw new Error(`${path}: no such field`);
}
