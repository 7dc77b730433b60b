/** Environment variables of OpenTelemetry, as its specification defines them. The exporter reads those of OTLP itself. */
type Variables = Readonly<Record<string, string | undefined>>;

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
const PROTOCOLS = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'];
const PROTOCOL = 'http/protobuf';

/** How root spans are sampled, and whether spans with a parent follow it. */
export interface SamplerSettings {
  readonly kind: 'always_on' | 'always_off' | 'traceidratio';
  /** Share of the traces, 0 to 1, with `traceidratio`. */
  readonly ratio: number;
  readonly parentBased: boolean;
}

/** Limits of the queue of spans that wait for their export; undefined: the default of the SDK. */
export interface QueueSettings {
  readonly scheduledDelayMillis?: number;
  readonly exportTimeoutMillis?: number;
  readonly maxQueueSize?: number;
  readonly maxExportBatchSize?: number;
}

/** Returns whether traces are exported: an endpoint is set, and neither the SDK nor the exporter is disabled. */
export function exportsTraces(environment: Variables): boolean {
  const isDisabled =
    environment['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true' ||
    environment['OTEL_TRACES_EXPORTER']?.trim().toLowerCase() === 'none';
  return !isDisabled && firstOf(environment, ENDPOINTS) !== undefined;
}

/** Returns the sampler, by default that of the specification: all root spans, and otherwise as the parent is. */
export function samplerFrom(environment: Variables, warn: (text: string) => void): SamplerSettings {
  const name = firstOf(environment, ['OTEL_TRACES_SAMPLER']) ?? 'parentbased_always_on';
  const match = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name);
  if (match === null) {
    warn(`OTEL_TRACES_SAMPLER: unknown sampler ${JSON.stringify(name)}, parentbased_always_on is used`);
    return { kind: 'always_on', ratio: 1, parentBased: true };
  }
  const kind = match[2] as SamplerSettings['kind'];
  return {
    kind,
    ratio: kind === 'traceidratio' ? ratioFrom(environment, warn) : 1,
    parentBased: match[1] !== undefined,
  };
}

/** Returns the limits of the queue, by OTEL_BSP_…; an invalid one is ignored. */
export function queueFrom(environment: Variables, warn: (text: string) => void): QueueSettings {
  const integer = (name: string): number | undefined => {
    const text = firstOf(environment, [name]);
    if (text === undefined) return undefined;
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    warn(`${name}: invalid value ${JSON.stringify(text)}, ignored: expected an integer of at least 1`);
    return undefined;
  };
  const limits = {
    scheduledDelayMillis: integer('OTEL_BSP_SCHEDULE_DELAY'),
    exportTimeoutMillis: integer('OTEL_BSP_EXPORT_TIMEOUT'),
    maxQueueSize: integer('OTEL_BSP_MAX_QUEUE_SIZE'),
    maxExportBatchSize: integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** Warns of endpoints that the exporter cannot use. Their values are not repeated, since a URL may have a password in it. */
export function checkEndpoints(environment: Variables, warn: (text: string) => void): void {
  for (const name of ENDPOINTS) {
    const text = firstOf(environment, [name]);
    if (text === undefined || /^https?:$/.test(URL.parse(text)?.protocol ?? '')) continue;
    warn(`${name}: invalid value (not shown): expected a URL with http:// or https://, such as http://collector:4318`);
  }
}

/** Warns of a protocol that is not supported. */
export function checkProtocol(environment: Variables, warn: (text: string) => void): void {
  const protocol = firstOf(environment, PROTOCOLS) ?? PROTOCOL;
  if (protocol !== PROTOCOL) {
    warn(`OTEL_EXPORTER_OTLP_PROTOCOL: ${JSON.stringify(protocol)} is not supported, ${PROTOCOL} is used`);
  }
}

function ratioFrom(environment: Variables, warn: (text: string) => void): number {
  const text = firstOf(environment, ['OTEL_TRACES_SAMPLER_ARG']) ?? '1';
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  warn(`OTEL_TRACES_SAMPLER_ARG: invalid value ${JSON.stringify(text)}, 1 is used: expected a number from 0 to 1`);
  return 1;
}

/** Returns the value of the first of some variables that is set and not empty. */
function firstOf(environment: Variables, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = environment[name]?.trim();
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}
