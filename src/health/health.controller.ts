import { Controller, Get } from '@nestjs/common';
import { CoherenceState } from '../instance/coherence-state.ts';
import { SELF_CHECK_PARTS } from '../instance/instance-memory.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { type HttpResponse, jsonResponse } from '../http/response/http-response.ts';
import { HttpConnections } from '../http/server/connections/http-connections.ts';
import { SkipSequential } from '../http/server/sequential.guard.ts';
import { ReadinessCheck } from './readiness.ts';

/** Liveness and readiness probes. */
@Controller('health')
@SkipSequential()
export class HealthController {
  readonly #readiness: ReadinessCheck;
  readonly #connections: HttpConnections;
  readonly #coherence: CoherenceState;
  readonly #instance: InstanceStats;

  constructor(
    readiness: ReadinessCheck,
    connections: HttpConnections,
    coherence: CoherenceState,
    instance: InstanceStats,
  ) {
    this.#readiness = readiness;
    this.#connections = connections;
    this.#coherence = coherence;
    this.#instance = instance;
  }

  @Get('live')
  live(): HttpResponse {
    const [fastPath, redisProtocol] = SELF_CHECK_PARTS.map((part) => this.#instance.failingSelfChecks(part) > 0);
    const isLive = !fastPath && !redisProtocol;
    const failed = { ...(fastPath && { fastPath: 'failed' }), ...(redisProtocol && { redisProtocol: 'failed' }) };
    const body = { status: isLive ? 'ok' : 'unavailable', ...failed };
    return jsonResponse(isLive ? 200 : 503, body);
  }

  @Get('ready')
  async ready(): Promise<HttpResponse> {
    const result = this.#connections.draining ? undefined : await this.#readiness.result();
    // The drain may have started while the check ran.
    if (result === undefined || this.#connections.draining) return jsonResponse(503, { status: 'shutting-down' });
    const { redis, fastPath, redisProtocol, warmup, reasons } = result;
    const isReady = reasons.length === 0;
    const { role } = this.#instance.readSources;
    const body = {
      status: isReady ? 'ok' : 'unavailable',
      ...{
        redis,
        ...(role === undefined ? {} : { redisRole: role }),
        coherence: this.#coherence.current,
        fastPath,
        redisProtocol,
      },
      ...(warmup === undefined ? {} : { warmup }),
      ...(isReady ? {} : { reasons }),
    };
    return jsonResponse(isReady ? 200 : 503, body);
  }
}
