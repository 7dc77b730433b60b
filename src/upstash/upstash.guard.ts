import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { Access } from '../access/access.ts';
import { ResponseException } from '../http/response/problem.filter.ts';
import { ReadResponse } from '../http/response/read-response.ts';
import { Cors } from '../http/server/cors.ts';
import { errorResponse } from './rest-response.ts';
import { restToken } from './rest-token.ts';
import { requestOf } from '../http/request/http-context.ts';

/** Declares the methods of a route, which may be registered for others as well, so that they get an error as JSON. */
export const AllowedMethods = Reflector.createDecorator<readonly string[]>();

/** Admits requests with a method of the route, a valid token, and a response format that is supported. */
@Injectable()
export class UpstashGuard implements CanActivate {
  readonly #access: Access;
  readonly #cors: Cors;
  readonly #reflector: Reflector;

  constructor(access: Access, cors: Cors, reflector: Reflector) {
    this.#access = access;
    this.#cors = cors;
    this.#reflector = reflector;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const methods = this.#reflector.getAllAndOverride(AllowedMethods, [context.getHandler(), context.getClass()]);
    const rejection = this.#rejectMethod(request, methods) ?? this.#authenticate(request) ?? rejectFormat(request);
    if (rejection === undefined) return true;
    throw new ResponseException(rejection);
  }

  /** Responds to preflight requests, and to methods that are not allowed. */
  #rejectMethod({ method }: Request, methods: readonly string[]): ReadResponse | undefined {
    if (methods.includes(method)) return undefined;
    const allowed = methods.join(', ');
    const response =
      this.#cors.on && method === 'OPTIONS'
        ? this.#cors.preflight(allowed, REQUEST_HEADERS)
        : errorResponse(`ERR method not allowed (allowed: ${allowed})`, 405, ['Allow', allowed]);
    return new ReadResponse(response, 'upstash');
  }

  #authenticate({ headers, originalUrl }: Request): ReadResponse | undefined {
    if (this.#access.acceptsToken(restToken(headers.authorization, originalUrl) ?? '')) return undefined;
    return UNAUTHORIZED;
  }
}

function rejectFormat({ headers }: Request): ReadResponse | undefined {
  const { 'upstash-response-format': format = 'json', 'upstash-encoding': encoding = 'base64' } = headers;
  if (format !== 'json') return JSON_ONLY;
  return encoding === 'base64' ? undefined : BASE64_ONLY;
}

const UNAUTHORIZED = new ReadResponse(
  errorResponse('WRONGPASS invalid or missing auth token', 401, ['WWW-Authenticate', 'Bearer realm="keys"']),
  'upstash',
  ['unauthorized'],
);
const JSON_ONLY = new ReadResponse(errorResponse('ERR unsupported Upstash-Response-Format (only json)'), 'upstash');
const BASE64_ONLY = new ReadResponse(errorResponse('ERR unsupported Upstash-Encoding (only base64)'), 'upstash');

/** Request headers of Upstash's client, which pages of other origins may send. */
const REQUEST_HEADERS =
  'Upstash-Encoding, Upstash-Sync-Token, Upstash-Telemetry-Platform, Upstash-Telemetry-Retry, ' +
  'Upstash-Telemetry-Runtime, Upstash-Telemetry-Sdk';
