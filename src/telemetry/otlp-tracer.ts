import { threadId } from 'node:worker_threads';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import {
  type Attributes,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  diag,
  trace,
} from '@opentelemetry/api';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { KeyQueryEnd, LoadSpan, ReadTracer, RequestDescription, RequestSpan } from '../cache/read-tracer.ts';
import type { LoadEnd } from '../cache/read-through/read-outcome.ts';
import { packageVersion } from '../config/package-version.ts';
import type { Settings } from '../config/settings.ts';
import type { ReadOutcomeName } from '../instance/read-metrics.ts';
import type { Query } from '../redis/query.ts';
import type { Lease } from '../cache/shared-lru/cache-types.ts';
import type { ThreadContext } from '../instance/thread-context.ts';
import { parentOf } from './caller-context.ts';
import { LoadContexts } from './load-contexts.ts';
import { ReportingExporter } from './reporting-exporter.ts';
import { type SamplerSettings, checkEndpoints, checkProtocol, queueFrom, samplerFrom } from './otel-environment.ts';

const NAME = 'redis-http-cache-proxy';
/** Milliseconds for which the shutdown of a thread waits until its last spans are exported. */
const FLUSH_MS = 2000;

/** Prefix of attributes for which there is no convention. */
const OWN = 'redis_http_cache_proxy';
const FAILURES: ReadonlySet<string> = new Set(['timeout', 'unavailable', 'overloaded']);

/**
 * Exports the spans of loads, and of the requests that wait for them, over OTLP. Attributes follow the semantic conventions of
 * OpenTelemetry; keys and values are in none, because they may be confidential.
 */
export class OtlpTracer implements ReadTracer, OnApplicationShutdown {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  /** Attributes of every load. */
  readonly #redis: Attributes;
  readonly #contexts: LoadContexts;

  /** @param redis attributes of every load. */
  constructor(provider: TracerProvider, redis: Attributes, contexts: LoadContexts) {
    this.#contexts = contexts;
    this.#provider = provider;
    this.#tracer = provider.getTracer(NAME, packageVersion());
    this.#redis = redis;
  }

  /** Creates the tracer of a thread from the environment variables of OpenTelemetry. */
  static start(
    environment: NodeJS.ProcessEnv,
    redis: Settings['redis'],
    { threadIndex, instance }: Pick<ThreadContext, 'threadIndex' | 'instance'>,
  ): OtlpTracer {
    const logger = new Logger(OtlpTracer.name);
    const silent = (): void => undefined;
    // All threads have the same environment.
    const warn = threadIndex === 0 ? (text: string): void => logger.warn(text) : silent;
    // The SDK says what is wrong with its variables. Failed exports are reported by ReportingExporter.
    diag.setLogger(
      { error: warn, warn, info: silent, debug: silent, verbose: silent },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    checkEndpoints(environment, warn);
    checkProtocol(environment, warn);
    const exporter = new ReportingExporter(new OTLPTraceExporter(), logger);
    const given = detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] });
    const provider = new TracerProvider({
      resource: defaultResource()
        .merge(resourceFromAttributes({ 'service.name': NAME, 'service.version': packageVersion() }))
        .merge(given),
      sampler: samplerOf(samplerFrom(environment, warn)),
      spanProcessors: [new BatchSpanProcessor({ exporter, ...queueFrom(environment, warn) })],
    });
    diag.disable();
    setGlobalErrorHandler(silent);
    if (threadIndex === 0) logger.log('traces are exported');
    return new OtlpTracer(provider, redisAttributes(redis), new LoadContexts(instance.loadContexts));
  }

  startRequest(request: RequestDescription, queries: readonly Query[]): RequestSpan | undefined {
    const operation = operationOf(queries);
    const attributes: Attributes = {
      [`${OWN}.transport`]: request.transport,
      'db.operation.name': operation,
      'thread.id': threadId,
    };
    if (queries.length > 1) attributes['db.operation.batch.size'] = queries.length;
    let name = operation;
    if (request.http !== undefined) {
      const { method, route } = request.http;
      attributes['http.request.method'] = method;
      attributes['http.route'] = route;
      name = `${method} ${route}`;
    }
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parentOf(request));
    return span.isRecording() ? new SampledRequest(span, this.#contexts) : undefined;
  }

  startLoad(query: Query, cause: RequestSpan | 'refresh', lease: Lease | undefined): LoadSpan | undefined {
    const operation = operationOf([query]);
    const attributes = { ...this.#redis, 'db.operation.name': operation, 'thread.id': threadId };
    const isRefresh = cause === 'refresh';
    if (isRefresh) Object.assign(attributes, { [`${OWN}.refresh`]: true });
    const context = cause instanceof SampledRequest ? trace.setSpan(ROOT_CONTEXT, cause.span) : ROOT_CONTEXT;
    const span = this.#tracer.startSpan(operation, { kind: SpanKind.CLIENT, attributes }, context);
    if (!span.isRecording()) return undefined;
    if (lease !== undefined) this.#contexts.publish(lease, span.spanContext());
    return new SampledLoad(span, isRefresh ? 0 : 1);
  }

  /** Exports the spans of the requests that the drain has completed; waits {@link FLUSH_MS} at most. */
  async onApplicationShutdown(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, FLUSH_MS)));
    await Promise.race([this.#provider.shutdown().catch(() => undefined), timeout]);
    clearTimeout(timer);
  }
}

class SampledRequest implements RequestSpan {
  readonly span: Span;
  readonly #contexts: LoadContexts;

  constructor(span: Span, contexts: LoadContexts) {
    this.span = span;
    this.#contexts = contexts;
  }

  onJoined(load: LoadSpan): void {
    if (load instanceof SampledLoad) this.span.addLink({ context: load.join() });
  }

  onJoinedElsewhere(lease: Lease): void {
    const context = this.#contexts.find(lease);
    if (context !== undefined) this.span.addLink({ context });
  }

  end(outcomes: readonly ReadOutcomeName[]): void {
    const names = [...new Set(outcomes)];
    this.span.setAttribute(`${OWN}.outcome`, names.length === 1 ? names[0] : names.sort().join(','));
    const failure = names.find((name) => FAILURES.has(name));
    if (failure !== undefined) setFailed(this.span, failure);
    this.span.end();
  }

  fail(bug: unknown): void {
    endWithBug(this.span, bug);
  }
}

class SampledLoad implements LoadSpan {
  readonly #span: Span;
  /** Requests of this thread that have waited for it. */
  #requests: number;

  constructor(span: Span, requests: number) {
    this.#span = span;
    this.#requests = requests;
  }

  /** Counts a request that waits for the load of another one, and returns the context to link to. */
  join(): SpanContext {
    this.#requests++;
    return this.#span.spanContext();
  }

  onDequeued(): void {
    this.#span.addEvent('permit acquired');
  }

  end(end: LoadEnd | KeyQueryEnd): void {
    const span = this.#span;
    span.setAttribute(`${OWN}.requests`, this.#requests);
    span.setAttribute(`${OWN}.outcome`, end.kind);
    if ('origin' in end) span.setAttribute(`${OWN}.stored`, end.origin === 'stored');
    if (end.kind === 'value' && 'value' in end) span.setAttribute(`${OWN}.value_bytes`, end.value.length);
    const failure = end.kind === 'stale' ? end.failure : end.kind;
    if (FAILURES.has(failure)) setFailed(span, failure);
    span.end();
  }

  fail(bug: unknown): void {
    endWithBug(this.#span, bug);
  }
}

function samplerOf({ kind, ratio, parentBased }: SamplerSettings): Sampler {
  const root =
    kind === 'always_on'
      ? new AlwaysOnSampler()
      : kind === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

function redisAttributes({ mode, host, port, socket, database }: Settings['redis']): Attributes {
  const common = { 'db.system.name': 'redis', 'db.namespace': String(database) };
  if (socket !== undefined) return { ...common, 'server.address': socket };
  // With sentinels or a cluster, the address is known only when the load is sent.
  return mode === 'standalone' ? { ...common, 'server.address': host, 'server.port': port } : common;
}

/** Returns the command, as the conventions for databases name it; of several, that of the first. */
function operationOf(queries: readonly Query[]): string {
  const [{ command }] = queries;
  const name = command.length === 0 ? 'GET' : command[0].toString('latin1');
  return queries.length === 1 ? name : `BATCH ${name}`;
}

function setFailed(span: Span, failure: string): void {
  span.setAttribute('error.type', failure);
  span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
}

function endWithBug(span: Span, bug: unknown): void {
  setFailed(span, bug instanceof Error ? bug.name : 'error');
  span.end();
}
