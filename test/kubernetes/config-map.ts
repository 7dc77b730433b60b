import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type JsonObject, type Manifest, isObject, objectsIn } from './manifest.ts';

/** An entry of a kustomization's `configMapGenerator`, with the supported fields. */
export interface Generator {
  readonly name: string;
  readonly behavior?: string;
  readonly envs?: readonly string[];
  readonly files?: readonly string[];
  readonly literals?: readonly string[];
  readonly options?: { readonly disableNameSuffixHash?: boolean; readonly labels?: Readonly<Record<string, string>> };
}

/** Fields in which other objects reference a ConfigMap. */
const REFERENCES = new Set(['configMapRef', 'configMapKeyRef', 'configMap']);

/** Returns the data of the generator's files and literals. */
export function generatedData(directory: string, { envs = [], files = [], literals = [] }: Generator): JsonObject {
  const lines = envs.flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n'));
  const settings = [...lines.filter((line) => line.trim() !== '' && !line.startsWith('#')), ...literals];
  return {
    ...Object.fromEntries(
      settings.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ),
    ...Object.fromEntries(files.map((file) => [basename(file), readFileSync(join(directory, file), 'utf8')])),
  };
}

/** Appends a hash of their content to the names of ConfigMaps, also in references to them. */
export function addHashes(manifests: readonly Manifest[], hashed: ReadonlySet<Manifest>): void {
  const names = new Map<string, string>();
  for (const map of hashed) {
    const { name } = map.metadata;
    names.set(name, `${name}-${hashOf(map)}`);
    map.metadata.name = `${name}-${hashOf(map)}`;
  }
  for (const [field, object] of objectsIn([...manifests])) {
    if (!REFERENCES.has(field) || typeof object.name !== 'string') continue;
    object.name = names.get(object.name) ?? object.name;
  }
}

/**
 * Computes the hash as kustomize does: ten hexadecimal digits of SHA-256 over JSON with sorted fields and an empty name,
 * with vowels and ambiguous digits replaced.
 */
function hashOf({ data }: Manifest): string {
  const sorted = isObject(data) ? Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) : {};
  const json = JSON.stringify({ data: sorted, kind: 'ConfigMap', name: '' });
  // Go escapes these for HTML.
  const escaped = json.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const instead: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };
  const digits = createHash('sha256').update(escaped).digest('hex').slice(0, 10);
  return digits.replace(/[013ae]/g, (digit) => instead[digit]);
}
