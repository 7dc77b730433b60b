import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { exportsTraces, samplerFrom } from '../../src/telemetry/otel-environment.ts';
import { render } from './kustomization.ts';
import type { Manifest } from './manifest.ts';
import { overlay } from './monitoring.ts';
import { problemsOf } from './schemas.ts';

const top = new URL('../../', import.meta.url).pathname;
const folders = ['base', 'overlays/fleet', 'overlays/sidecar', 'overlays/monitoring'];

const named = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;
const sorted = (manifests: readonly Manifest[]) =>
  [...manifests].sort((a, b) => (named(a) < named(b) ? -1 : 1)).map((each): unknown => ({ ...each }));

/** Older versions include a kustomize without components. */
const OLDEST_KUSTOMIZE = 5;

/** Renders with kubectl; undefined if it is not installed or too old. */
function renderedByKubectl(folder: string): Manifest[] | undefined {
  const kubectl = (...args: string[]) => spawnSync('kubectl', args, { encoding: 'utf8' });
  const version = /"kustomizeVersion": "v(\d+)/.exec(kubectl('version', '--client', '-o', 'json').stdout ?? '');
  if (version === null || Number(version[1]) < OLDEST_KUSTOMIZE) return undefined;
  const { status, stdout, stderr } = kubectl('kustomize', folder);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}

describe.each(folders)('deploy/kubernetes/%s', (folder) => {
  const manifests = render(overlay(folder));

  it('is valid by the schemas of Kubernetes and the Prometheus operator, without unknown fields', () => {
    expect(manifests.flatMap(problemsOf)).toEqual([]);
  });

  it('contains each object once', () => {
    const names = manifests.map(named);
    expect(names).toEqual([...new Set(names)]);
  });

  it('is equal to the output of `kubectl kustomize`, if it is installed', () => {
    const expected = renderedByKubectl(overlay(folder));
    if (expected !== undefined) expect(sorted(manifests)).toEqual(sorted(expected));
  });
});

describe('overlay of the README of deploy/kubernetes', () => {
  const readme = readFileSync(join(overlay('.'), 'README.md'), 'utf8');
  const overlaysIn = (page: string): string[] =>
    [...page.matchAll(/^```yaml\n(apiVersion: kustomize[^`]+)```/gm)].map(([, text]) => text);
  const [own, warm, tls, traces] = overlaysIn(readme);
  const [token] = overlaysIn(readFileSync(join(top, 'docs/redis.md'), 'utf8'));

  function withOverlay<T>(use: (folder: string) => T, text = own): T {
    const parent = mkdtempSync(join(tmpdir(), 'kustomize-'));
    try {
      symlinkSync(top, join(parent, 'redis-http-cache-proxy'));
      mkdirSync(join(parent, 'mine'));
      writeFileSync(join(parent, 'mine/kustomization.yaml'), text);
      return use(join(parent, 'mine'));
    } finally {
      rmSync(parent, { recursive: true });
    }
  }

  it('changes the image, the settings, the namespace and the name of the ConfigMap', () => {
    const [base, changed] = [render(overlay('base')), withOverlay(render)];
    const containerIn = (manifests: readonly Manifest[]) => {
      const text = JSON.stringify(manifests.find(({ kind }) => kind === 'Deployment'));
      return {
        image: /"image":"([^"]+)"/.exec(text)?.[1],
        settings: /"configMapRef":{"name":"([^"]+)"/.exec(text)?.[1],
      };
    };
    expect(changed.flatMap(problemsOf)).toEqual([]);
    expect(changed.every(({ metadata }) => metadata.namespace === 'caches')).toBe(true);
    expect(containerIn(changed).image).toBe('images.example.com/redis-http-cache-proxy:1.2.3');
    expect(containerIn(changed).settings).not.toBe(containerIn(base).settings);
    const settings = changed.find(({ metadata }) => metadata.name === containerIn(changed).settings)?.data;
    expect(settings).toMatchObject({ CACHE_TTL_MS: '30000', CACHE_COHERENCE: 'tracking', HTTP_PORT: '8080' });
  });

  it('has a volume for the file of warm starts, which its startup probe allows for', () => {
    const manifests = withOverlay(render, warm);
    expect(manifests.flatMap(problemsOf)).toEqual([]);
    const settings = manifests.find(({ kind }) => kind === 'ConfigMap')?.data as Readonly<Record<string, string>>;
    const { spec } = manifests.find(({ kind }) => kind === 'Deployment') as unknown as { spec: { template: Template } };
    const { containers, volumes, securityContext } = spec.template.spec;
    const [{ volumeMounts, startupProbe }] = containers;
    const mount = volumeMounts.find(({ mountPath }) => mountPath === dirname(settings.CACHE_WARMUP_FILE));
    const claim = volumes.find(({ name }) => name === mount?.name)?.persistentVolumeClaim?.claimName;
    expect(manifests.map(named)).toContain(`PersistentVolumeClaim ${claim}`);
    expect(securityContext).toMatchObject({ runAsUser: 1000, fsGroup: 1000 });
    const probedMs = startupProbe.periodSeconds * startupProbe.failureThreshold * 1000;
    expect(probedMs).toBeGreaterThan(2 * Number(settings.CACHE_WARMUP_WAIT_MS));
    expect(settings).toMatchObject({ HTTP_PORT: '8080' });
  });

  it('exports traces to the collector that the NetworkPolicy allows, with the pod in each span', () => {
    const component = withOverlay(render, TRACES);
    expect(component.flatMap(problemsOf)).toEqual([]);
    const settings = component.find(({ kind }) => kind === 'ConfigMap')?.data as Readonly<Record<string, string>>;
    const warnings: string[] = [];
    expect(exportsTraces(settings)).toBe(true);
    expect(samplerFrom(settings, (text) => warnings.push(text))).toMatchObject({ parentBased: true, ratio: 0.01 });
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({ HTTP_PORT: '8080', OTEL_SERVICE_NAME: 'redis-http-cache-proxy' });
    const { hostname, port } = new URL(settings.OTEL_EXPORTER_OTLP_ENDPOINT);
    const namespace = { matchLabels: { 'kubernetes.io/metadata.name': hostname.split('.')[1] } };
    const policyOf = (manifests: readonly Manifest[]) =>
      manifests.find(({ metadata }) => metadata.name === 'redis-http-cache-proxy-traces')?.spec;
    expect(policyOf(component)).toMatchObject({
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: namespace }], ports: [{ port: Number(port) }] }],
    });

    const environment = environmentOf(component);
    const known = new Set<string>();
    for (const { name, value = '' } of environment) {
      // Kubernetes replaces only variables that are defined before.
      for (const [, used] of value.matchAll(/\$\((\w+)\)/g)) expect(known).toContain(used);
      known.add(name);
    }
    const { value = '' } = environment.find(({ name }) => name === 'OTEL_RESOURCE_ATTRIBUTES') ?? {};
    const attributes = new Map(value.split(',').map((pair) => pair.split('=', 2) as [string, string]));
    expect(Object.fromEntries(attributes)).toEqual({
      'service.namespace': '$(POD_NAMESPACE)',
      'service.instance.id': '$(POD_NAMESPACE).$(POD_NAME).proxy',
      'k8s.namespace.name': '$(POD_NAMESPACE)',
      'k8s.deployment.name': 'redis-http-cache-proxy',
      'k8s.pod.name': '$(POD_NAME)',
      'k8s.pod.uid': '$(POD_UID)',
      'k8s.container.name': 'proxy',
      'k8s.node.name': '$(NODE_NAME)',
    });

    const changed = withOverlay(render, traces);
    expect(changed.flatMap(problemsOf)).toEqual([]);
    expect(policyOf(changed)).toMatchObject({ egress: [{ ports: [{ port: 443 }] }] });
    expect(environmentOf(changed).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_RESOURCE_ATTRIBUTES']),
    );
  });

  it('mounts the certificate that the settings name', () => {
    const manifests = withOverlay(render, tls);
    expect(manifests.flatMap(problemsOf)).toEqual([]);
    const settings = manifests.find(({ kind }) => kind === 'ConfigMap')?.data as Readonly<Record<string, string>>;
    const { spec } = manifests.find(({ kind }) => kind === 'Deployment') as unknown as { spec: { template: Template } };
    const { containers, volumes } = spec.template.spec;
    const { name } = containers[0].volumeMounts.find(({ mountPath }) => mountPath.endsWith('-tls')) ?? {};
    expect(volumes.find((volume) => volume.name === name)).toMatchObject({
      secret: { secretName: 'redis-http-cache-proxy-tls' },
    });
    const { mountPath } = containers[0].volumeMounts.find((mount) => mount.name === name) ?? {};
    const files = ['HTTP', 'RESP'].flatMap((listener) => [
      settings[`${listener}_TLS_CERT_FILE`],
      settings[`${listener}_TLS_KEY_FILE`],
    ]);
    expect(files).toEqual(['tls.crt', 'tls.key', 'tls.crt', 'tls.key'].map((file) => `${mountPath}/${file}`));
  });

  it.each([own, warm, tls, traces, token])(
    'is equal to the output of `kubectl kustomize`, if it is installed (%#)',
    (text) => {
      const [rendered, expected] = withOverlay((folder) => [render(folder), renderedByKubectl(folder)], text);
      if (expected !== undefined) expect(sorted(rendered ?? [])).toEqual(sorted(expected));
    },
  );
});

/** An overlay with the component alone. */
const TRACES = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../redis-http-cache-proxy/deploy/kubernetes/base]
components: [../redis-http-cache-proxy/deploy/kubernetes/components/traces]
`;

/** Returns the environment variables of the proxy that are not in a ConfigMap. */
function environmentOf(manifests: readonly Manifest[]) {
  const { spec } = manifests.find(({ kind }) => kind === 'Deployment') as unknown as { spec: { template: Template } };
  return spec.template.spec.containers[0].env;
}

/** The parts of a Pod template that the specs read. */
interface Template {
  readonly spec: {
    readonly securityContext: object;
    readonly containers: readonly {
      readonly env: readonly { readonly name: string; readonly value?: string }[];
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
      readonly startupProbe: { readonly periodSeconds: number; readonly failureThreshold: number };
    }[];
    readonly volumes: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
}

describe('schema validation', () => {
  const [deployment] = render(overlay('base')).filter(({ kind }) => kind === 'Deployment');
  const changed = (from: string, to: string) => JSON.parse(JSON.stringify(deployment).replace(from, to)) as Manifest;

  it('reports missing fields, fields of another type, and unknown fields', () => {
    expect(problemsOf(deployment)).toEqual([]);
    expect(problemsOf(changed('"selector":', '"select":'))).toHaveLength(2);
    expect(problemsOf(changed('"containerPort":8080', '"containerPort":"8080"'))).toHaveLength(1);
    expect(problemsOf(changed('readOnlyRootFilesystem', 'readOnlyRootFileSystem'))).toEqual([
      'apps/v1 Deployment /spec/template/spec/containers/0/securityContext/readOnlyRootFileSystem: there is no such field',
    ]);
  });
});
