import { describe, expect, it } from '@jest/globals';
import { checkEndpoints, checkProtocol, exportsTraces, queueFrom, samplerFrom } from './otel-environment.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

/** Collects the warnings of a function. */
function warningsOf(run: (warn: (text: string) => void) => void): string[] {
  const warnings: string[] = [];
  run((text) => warnings.push(text));
  return warnings;
}

describe('exportsTraces', () => {
  it.each([
    [ENDPOINT, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }, true],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'otlp' }, true],
    [{}, false],
    [{ OTEL_SERVICE_NAME: 'cache', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, false],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'True' }, false],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, false],
  ])('with %j is %s', (environment, expected) => {
    expect(exportsTraces(environment)).toBe(expected);
  });
});

describe('samplerFrom', () => {
  it.each([
    [undefined, undefined, { kind: 'always_on', ratio: 1, parentBased: true }],
    ['', undefined, { kind: 'always_on', ratio: 1, parentBased: true }],
    ['always_off', undefined, { kind: 'always_off', ratio: 1, parentBased: false }],
    ['parentbased_always_off', undefined, { kind: 'always_off', ratio: 1, parentBased: true }],
    ['traceidratio', '0.25', { kind: 'traceidratio', ratio: 0.25, parentBased: false }],
    ['parentbased_traceidratio', '0', { kind: 'traceidratio', ratio: 0, parentBased: true }],
    ['parentbased_traceidratio', undefined, { kind: 'traceidratio', ratio: 1, parentBased: true }],
  ])('with %s and the argument %s is %j, without a warning', (name, argument, expected) => {
    const environment = { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument };
    expect(warningsOf((warn) => expect(samplerFrom(environment, warn)).toEqual(expected))).toEqual([]);
  });

  it('warns of an unknown sampler or argument, and uses the default', () => {
    const unknown = { OTEL_TRACES_SAMPLER: 'jaeger_remote' };
    const tooHigh = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' };
    const warnings = warningsOf((warn) => {
      expect(samplerFrom(unknown, warn)).toEqual({ kind: 'always_on', ratio: 1, parentBased: true });
      expect(samplerFrom(tooHigh, warn)).toEqual({ kind: 'traceidratio', ratio: 1, parentBased: false });
    });
    expect(warnings).toEqual([
      'OTEL_TRACES_SAMPLER: unknown sampler "jaeger_remote", parentbased_always_on is used',
      'OTEL_TRACES_SAMPLER_ARG: invalid value "2", 1 is used: expected a number from 0 to 1',
    ]);
  });
});

describe('queueFrom', () => {
  it('has what is set, and warns of an invalid limit', () => {
    const environment = {
      OTEL_BSP_SCHEDULE_DELAY: '100',
      OTEL_BSP_EXPORT_TIMEOUT: '',
      OTEL_BSP_MAX_QUEUE_SIZE: '50',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '-1',
    };
    const warnings = warningsOf((warn) => {
      expect(queueFrom(environment, warn)).toEqual({ scheduledDelayMillis: 100, maxQueueSize: 50 });
    });
    expect(warnings).toEqual([
      'OTEL_BSP_MAX_EXPORT_BATCH_SIZE: invalid value "-1", ignored: expected an integer of at least 1',
    ]);
  });
});

describe('checkEndpoints', () => {
  const warn = (environment: Record<string, string>) => warningsOf((each) => checkEndpoints(environment, each));

  it('accepts HTTP and HTTPS', () => {
    expect(warn({ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://u:p@[::1]/v1/traces' })).toEqual([]);
    expect(warn({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toEqual([]);
  });

  it.each(['localhost:4318', '//collector', 'grpc://collector:4317', 'http://'])('warns of %s', (endpoint) => {
    for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
      expect(warn({ [name]: endpoint })).toEqual([
        `${name}: invalid value (not shown): expected a URL with http:// or https://, such as http://collector:4318`,
      ]);
    }
  });
});

describe('checkProtocol', () => {
  it('warns of any protocol but http/protobuf', () => {
    const warn = (environment: Record<string, string>) => warningsOf((each) => checkProtocol(environment, each));
    expect(warn({})).toEqual([]);
    expect(warn({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })).toEqual([]);
    expect(warn({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toEqual([
      'OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not supported, http/protobuf is used',
    ]);
  });
});
