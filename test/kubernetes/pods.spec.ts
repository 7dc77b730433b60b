import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../src/config/load-settings.ts';
import type { Settings } from '../../src/config/settings.ts';
import { render } from './kustomization.ts';
import type { Manifest } from './manifest.ts';
import { overlay } from './monitoring.ts';

const MiB = 2 ** 20;
/** Reserve in terminationGracePeriodSeconds. */
const RESERVE_S = 3;

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly resources: { readonly limits: { readonly cpu: string; readonly memory: string } };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly mountPath: string; readonly subPath?: string }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly securityContext?: object;
  readonly terminationGracePeriodSeconds?: number;
  readonly volumes?: readonly { readonly secret?: { readonly items?: readonly { readonly path: string }[] } }[];
}

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
const RESTRICTED_POD = { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } };

const secrets = mkdtempSync(join(tmpdir(), 'secrets-'));
beforeAll(() => {
  writeFileSync(join(secrets, 'redis-url'), 'redis://:password@redis:6379/0');
  writeFileSync(join(secrets, 'access-token'), 'reader');
  writeFileSync(join(secrets, 'admin-token'), 'admin');
});
afterAll(() => rmSync(secrets, { recursive: true }));

function podOf(manifests: readonly Manifest[]): PodSpec {
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  return (deployment?.spec as unknown as { template: { spec: PodSpec } }).template.spec;
}

function proxyIn({ containers, initContainers = [] }: PodSpec): Container {
  const proxy = [...containers, ...initContainers].find(({ image }) => image.startsWith('redis-http-cache-proxy:'));
  if (proxy === undefined) throw new Error('no container of the proxy');
  return proxy;
}

/** Returns the settings that the proxy loads from the environment of its container. */
function settingsOf(manifests: readonly Manifest[], container: Container): Settings {
  const maps = container.envFrom.map(({ configMapRef: { name } }) =>
    manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name),
  );
  const environment = Object.assign({}, ...maps.map((map) => map?.data)) as Record<string, string>;
  const [{ mountPath }] = container.volumeMounts;
  const local = Object.entries(environment).map(([name, value]) => [name, value.replace(mountPath, secrets)]);
  return loadSettings(Object.fromEntries(local) as Record<string, string>, '/none');
}

/** Computes the sum in the README of deploy/kubernetes, in bytes. */
function memoryFor({ cache, proxy }: Settings): number {
  return (
    1.07 * cache.maxBytes +
    200 * cache.capacity +
    200 * MiB +
    150 * MiB * proxy.threads +
    (proxy.maxConnections * MiB) / 32 +
    proxy.maxBufferedBytes
  );
}

describe.each([
  { folder: 'base', exec: false },
  { folder: 'overlays/fleet', exec: false },
  { folder: 'overlays/sidecar', exec: true },
])('proxy of $folder', ({ folder, exec }) => {
  const manifests = render(overlay(folder));
  const pod = podOf(manifests);
  const proxy = proxyIn(pod);

  it('accepts its settings, with secrets in files of a mounted folder', () => {
    const { redis } = settingsOf(manifests, proxy);
    expect(JSON.stringify(redis)).toContain('"redis"');
    expect(proxy.volumeMounts.every(({ subPath }) => subPath === undefined)).toBe(true);
  });

  it('has a memory limit for its settings and a CPU limit for its threads', () => {
    const settings = settingsOf(manifests, proxy);
    const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(proxy.resources.limits.memory) ?? [];
    const limit = Number(amount) * (unit === 'Gi' ? 1024 : 1) * MiB;
    expect(limit).toBeGreaterThanOrEqual(memoryFor(settings) + (exec ? 50 * MiB : 0));
    expect(limit).toBeLessThan(memoryFor(settings) * 1.5);
    expect(Number(proxy.resources.limits.cpu)).toBe(settings.proxy.threads);
  });

  it('has a termination grace period longer than its shutdown', () => {
    const { shutdownGraceMs } = settingsOf(manifests, proxy);
    const needed = (proxy.lifecycle?.preStop.sleep.seconds ?? 0) + shutdownGraceMs / 1000;
    expect(pod.terminationGracePeriodSeconds ?? 30).toBeGreaterThanOrEqual(needed + RESERVE_S);
  });

  it('meets the restricted Pod Security Standard', () => {
    expect({ ...pod.securityContext, ...proxy.securityContext }).toMatchObject({ ...RESTRICTED, ...RESTRICTED_POD });
    for (const other of pod.containers) expect(other.securityContext).toMatchObject(RESTRICTED);
  });

  it('has the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(proxy.image).toBe(`redis-http-cache-proxy:${version}`);
  });
});

describe('proxy of base', () => {
  const manifests = render(overlay('base'));
  const proxy = proxyIn(podOf(manifests));

  it('requires tokens', () => {
    const { access, admin } = settingsOf(manifests, proxy);
    expect(access.tokens.map((token) => token.reveal())).toEqual(['reader']);
    expect(admin.tokens.map((token) => token.reveal())).toEqual(['admin']);
  });

  it('listens on the ports of its container', () => {
    const { http, resp, ops } = settingsOf(manifests, proxy);
    expect([http.host, ops.host]).toEqual(['::', '::']);
    expect(proxy.ports).toEqual([
      { name: 'http', containerPort: http.port },
      { name: 'redis', containerPort: resp.port },
      { name: 'ops', containerPort: ops.port },
    ]);
  });

  it('is probed at its ops port', () => {
    const probes = [proxy.startupProbe, proxy.readinessProbe, proxy.livenessProbe];
    expect(probes.map((probe) => probe?.httpGet)).toEqual([
      { path: '/health/ready', port: 'ops' },
      { path: '/health/live', port: 'ops' },
      { path: '/health/live', port: 'ops' },
    ]);
  });

  it.each(['base', 'overlays/fleet'])('is reached by clients of %s at the ports for reads only', (folder) => {
    const specs = (kind: string) =>
      render(overlay(folder)).flatMap((each) =>
        each.kind === kind && !each.metadata.name.endsWith('-ops') ? [JSON.stringify(each.spec)] : [],
      );
    const reached = [...specs('Service'), ...specs('NetworkPolicy'), ...specs('Ingress')];
    expect(reached.length).toBeGreaterThanOrEqual(2);
    for (const spec of reached) expect(spec).not.toMatch(/"ops"|9090/);
  });
});

describe('proxy of overlays/sidecar', () => {
  const manifests = render(overlay('overlays/sidecar'));
  const pod = podOf(manifests);

  it('is reachable from its Pod only, and starts before and stops after the application', () => {
    const { http, access } = settingsOf(manifests, proxyIn(pod));
    expect(http.host).toBe('127.0.0.1');
    expect(access.tokens).toEqual([]);
    expect(pod.initContainers).toEqual([expect.objectContaining({ restartPolicy: 'Always' })]);
    expect(pod.initContainers?.[0]).not.toHaveProperty('ports');
  });
});
