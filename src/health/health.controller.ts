import { Controller, Get, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CoherenceState } from '../instance/coherence-state.ts';
import { SELF_CHECK_PARTS } from '../instance/instance-memory.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { jsonResponse, send } from '../http/response/http-response.ts';
import { HttpConnections } from '../http/server/http-connections.ts';
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
  live(@Req() request: Request, @Res() response: Response): void {
    const [fastPath, redisProtocol] = SELF_CHECK_PARTS.map((part) => this.#instance.failingSelfChecks(part) > 0);
    const isLive = !fastPath && !redisProtocol;
    const failed = { ...(fastPath && { fastPath: 'failed' }), ...(redisProtocol && { redisProtocol: 'failed' }) };
    const body = { status: isLive ? 'ok' : 'unavailable', ...failed };
    send(jsonResponse(isLive ? 200 : 503, body), request.method, response);
  }

  @Get('ready')
  async ready(@Req() request: Request, @Res() response: Response): Promise<void> {
    const result = this.#connections.draining ? undefined : await this.#readiness.result();
    // The drain may have started while the check ran.
    if (result === undefined || this.#connections.draining) {
      return send(jsonResponse(503, { status: 'shutting-down' }), request.method, response);
    }
    const { redis, fastPath, redisProtocol, reasons } = result;
    const isReady = reasons.length === 0;
    const body = {
      status: isReady ? 'ok' : 'unavailable',
      ...{ redis, coherence: this.#coherence.current, fastPath, redisProtocol },
      ...(isReady ? {} : { reasons }),
    };
    send(jsonResponse(isReady ? 200 : 503, body), request.method, response);
  }
}
