import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { Service } from 'kubernetes-models/v1/Service';
import type { Json, Manifest } from './manifest.ts';

/** `validate` checks its `this` against the schema, and throws an error with all violations. */
type Model = { readonly prototype: { validate(): void } };

const MODELS: ReadonlyMap<string, Model> = new Map<string, Model>([
  ['apps/v1 Deployment', Deployment],
  ['autoscaling/v2 HorizontalPodAutoscaler', HorizontalPodAutoscaler],
  ['monitoring.coreos.com/v1 PrometheusRule', PrometheusRule],
  ['monitoring.coreos.com/v1 ServiceMonitor', ServiceMonitor],
  ['networking.k8s.io/v1 Ingress', Ingress],
  ['networking.k8s.io/v1 NetworkPolicy', NetworkPolicy],
  ['policy/v1 PodDisruptionBudget', PodDisruptionBudget],
  ['v1 ConfigMap', ConfigMap],
  ['v1 PersistentVolumeClaim', PersistentVolumeClaim],
  ['v1 Service', Service],
]);

/**
 * Returns the violations of a manifest against the schema of its kind. The schemas allow unknown fields, which the API
 * server drops, so that a typo would pass: fields that the validation never reads are reported as well.
 */
export function problemsOf(manifest: Manifest): string[] {
  const type = `${manifest.apiVersion} ${manifest.kind}`;
  const model = MODELS.get(type);
  if (model === undefined) return [`${type}: no schema is known here`];
  const read = new Set<string>();
  const problems: string[] = [];
  try {
    model.prototype.validate.call(watched(manifest, '', read));
  } catch (error) {
    problems.push(`${type}: ${(error as Error).message}`);
  }
  const unknown = [...paths(manifest, '')].filter((path) => !read.has(path) && read.has(parentOf(path)));
  return [...problems, ...unknown.map((path) => `${type} ${path}: there is no such field`)];
}

/** Wraps a value so that each read of a field is recorded. */
function watched(value: unknown, path: string, read: Set<string>): unknown {
  read.add(path);
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get: (target, name, receiver) => {
      const child: unknown = Reflect.get(target, name, receiver);
      return typeof name === 'string' && Object.hasOwn(target, name) ? watched(child, `${path}/${name}`, read) : child;
    },
  });
}

function* paths(value: Json, path: string): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) {
    yield `${path}/${name}`;
    yield* paths(child, `${path}/${name}`);
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
