import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { type Generator, addHashes, generatedData } from './config-map.ts';
import { type Json, type Manifest, isObject, objectsIn } from './manifest.ts';
import { type Operation, applyOperations, merged } from './patch.ts';

/** The supported fields of a kustomization.yaml. */
interface Kustomization {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly configMapGenerator?: readonly Generator[];
  readonly patches?: readonly Patch[];
  readonly images?: readonly { readonly name: string; readonly newName?: string; readonly newTag?: string }[];
}

interface Patch {
  readonly path?: string;
  readonly patch?: string;
  readonly target: { readonly kind: string; readonly name?: string; readonly labelSelector?: string };
}

/** In the order of execution. */
const STEPS = ['resources', 'configMapGenerator', 'components', 'patches', 'namespace', 'images'] as const;
const FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', ...STEPS]);

/**
 * Renders a folder as `kubectl kustomize` does, in any order. Supports the features that deploy/kubernetes and its README
 * use.
 *
 * @throws Error for an unsupported field of a kustomization.
 */
export function render(directory: string): Manifest[] {
  const hashed = new Set<Manifest>();
  const manifests = build(directory, [], hashed);
  addHashes(manifests, hashed);
  return manifests;
}

function build(directory: string, before: readonly Manifest[], hashed: Set<Manifest>): Manifest[] {
  const kustomization = parse(readFileSync(join(directory, 'kustomization.yaml'), 'utf8')) as Kustomization;
  const unknown = Object.keys(kustomization).filter((field) => !FIELDS.has(field));
  if (unknown.length > 0) throw new Error(`${directory}: ${unknown.join(', ')}: not supported here`);
  const { resources = [], components = [], configMapGenerator = [], patches = [], images = [] } = kustomization;
  let manifests = [...before, ...resources.flatMap((path) => resource(join(directory, path), hashed))];
  for (const generator of configMapGenerator) generate(directory, generator, manifests, hashed);
  for (const path of components) manifests = build(join(directory, path), manifests, hashed);
  for (const patch of patches) manifests.filter(isTarget(patch)).forEach((each) => applyPatch(directory, each, patch));
  if (kustomization.namespace !== undefined) {
    for (const { metadata } of manifests) metadata.namespace = kustomization.namespace;
  }
  for (const [, object] of objectsIn(manifests)) {
    const [name, tag] = typeof object.image === 'string' ? object.image.split(':') : [];
    const image = images.find((each) => each.name === name);
    if (image !== undefined) object.image = `${image.newName ?? image.name}:${image.newTag ?? tag}`;
  }
  return manifests;
}

function resource(path: string, hashed: Set<Manifest>): Manifest[] {
  if (!existsSync(path)) throw new Error(`${path}: no such file`);
  if (statSync(path).isDirectory()) return build(path, [], hashed);
  return parseAllDocuments(readFileSync(path, 'utf8'), { version: '1.1' }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}

function generate(directory: string, generator: Generator, manifests: Manifest[], hashed: Set<Manifest>): void {
  const { name, behavior = 'create', options } = generator;
  const data = generatedData(directory, generator);
  const existing = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
  if (behavior === 'merge' && isObject(existing?.data)) {
    Object.assign(existing.data, data);
    return;
  }
  if (behavior !== 'create' || existing !== undefined) throw new Error(`${directory}: ${behavior} of ${name}`);
  const map: Manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
  if (options?.labels !== undefined) map.metadata.labels = { ...options.labels };
  manifests.push(map);
  if (!options?.disableNameSuffixHash) hashed.add(map);
}

function isTarget({ target }: Patch): (manifest: Manifest) => boolean {
  const [label, value] = target.labelSelector?.split('=') ?? [];
  return ({ kind, metadata }) =>
    kind === target.kind &&
    (target.name ?? metadata.name) === metadata.name &&
    (label === undefined || (isObject(metadata.labels) && metadata.labels[label] === value));
}

/** Applies a patch. If it has a target, the name in the patch is ignored. */
function applyPatch(directory: string, manifest: Manifest, { path, patch }: Patch): void {
  const text = path === undefined ? patch : readFileSync(join(directory, path), 'utf8');
  const content = parse(text ?? '', { version: '1.1' }) as Json;
  if (Array.isArray(content)) return applyOperations(manifest, content as unknown as Operation[]);
  if (!isObject(content) || !isObject(content.metadata) || content.kind !== manifest.kind) {
    throw new Error(`a merge patch must have apiVersion, kind and metadata: ${text}`);
  }
  const { apiVersion, kind, metadata } = manifest;
  Object.assign(manifest, merged(manifest, content), { apiVersion, kind, metadata });
}
