import { All, Controller, Get, HttpCode, Options, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Access } from '../access/access.ts';
import { BufferedBytes, type ReadClient } from '../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../cache/cache.service.ts';
import { PendingReads } from '../cache/read-through/pending-reads.ts';
import { type ReadCounter, ReadMetrics } from '../instance/read-metrics.ts';
import { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { type HttpResponse, sendBuffered } from '../http/response/http-response.ts';
import { FAILURES } from '../redis-commands/key-replies.ts';
import type { WriteReply } from '../redis-commands/read-plan.ts';
import { renderBuffered } from '../http/response/buffered-response.ts';
import { Cors } from '../http/server/cors.ts';
import { ResponseReader } from '../http/response/response-reader.ts';
import { MAX_BODY_BYTES, readPlainBody } from '../http/request/read-body.ts';
import { maxResultsBytes } from '../http/response/results-body.ts';
import { COMMAND_ROUTE, commandFromTarget } from './command-path.ts';
import { type RestRendering, commandResponse, errorResponse, pipelineResponse } from './rest-response.ts';
import { RestCommands } from './rest-commands.ts';
import type { RestEncoding } from './rest-reply.ts';
import { type BadRequest, type RestCommand, isBadRequest, parseCommand, parsePipeline } from './rest-request.ts';
import { restToken } from './rest-token.ts';

const PIPELINE_PATH = 'pipeline';
const TRANSACTION_PATH = 'multi-exec';

/** The client whose commands are executed. */
interface RestClient {
  /** Counts the reads of keys. */
  readonly reads: ReadCounter;
  readonly reader: ReadClient;
  /** The requested encoding of strings. */
  readonly encoding: RestEncoding;
}

/** Upstash's REST API, for clients that cannot connect to Redis, such as edge functions. */
@Controller()
export class UpstashController {
  readonly #access: Access;
  readonly #counts: ReadMetrics;
  readonly #cors: Cors;
  readonly #buffered: BufferedBytes;
  readonly #maxBytes: number;
  readonly #commands: RestCommands;

  constructor(
    access: Access,
    cache: CacheService,
    counts: ReadMetrics,
    cors: Cors,
    refused: RefusedCommands,
    buffered: BufferedBytes,
  ) {
    this.#access = access;
    this.#counts = counts;
    this.#cors = cors;
    this.#buffered = buffered;
    this.#maxBytes = maxResultsBytes(buffered.limit);
    this.#commands = new RestCommands(cache, access, refused, this.#maxBytes);
  }

  @Post()
  @HttpCode(200)
  command(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#respond(request, response, async (client) => {
      const body = await bodyOf(request);
      return Buffer.isBuffer(body) ? this.#runOne(parseCommand(body), client) : body;
    });
  }

  @Options()
  commandOptions(@Req() request: Request, @Res() response: Response): void {
    this.#rejectMethod('POST', request, response);
  }

  @Post(PIPELINE_PATH)
  @HttpCode(200)
  pipeline(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#respond(request, response, async (client) => {
      const body = await bodyOf(request);
      return Buffer.isBuffer(body) ? this.#runAll(parsePipeline(body), client) : body;
    });
  }

  @Post(TRANSACTION_PATH)
  transaction(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#respond(request, response, () => errorResponse(NO_TRANSACTIONS));
  }

  @All([PIPELINE_PATH, TRANSACTION_PATH])
  other(@Req() request: Request, @Res() response: Response): void {
    this.#rejectMethod('POST', request, response);
  }

  @Get(COMMAND_ROUTE)
  path(@Req() request: Request, @Res() response: Response): Promise<void> {
    return this.#respond(request, response, async (client) => {
      const command = commandFromTarget(request.originalUrl);
      if (command === undefined) return errorResponse(BAD_ENCODING);
      if (request.method !== 'POST' && request.method !== 'PUT') return this.#runOne(command, client);
      const body = await bodyOf(request);
      if (!Buffer.isBuffer(body)) return body;
      return this.#runOne(body.length === 0 ? command : [...command, body], client);
    });
  }

  @All(COMMAND_ROUTE)
  otherPath(@Req() request: Request, @Res() response: Response): Promise<void> | void {
    if (['HEAD', 'POST', 'PUT'].includes(request.method)) return this.path(request, response);
    this.#rejectMethod('GET, HEAD, POST, PUT', request, response);
  }

  /** @param execute returns the response to an authenticated client; undefined if the client has disconnected. */
  async #respond(
    request: Request,
    response: Response,
    execute: (client: RestClient) => HttpResponse | Promise<HttpResponse | undefined>,
  ): Promise<void> {
    const reads = new PendingReads('upstash', this.#counts);
    const content =
      this.#reject(request, reads) ??
      (await execute({ reads, reader: new ResponseReader(response), encoding: encodingFor(request) }));
    reads.publish();
    try {
      if (content !== undefined) this.#send(content, request, response);
    } catch (bug) {
      reads.takeBack();
      throw bug;
    }
  }

  #reject({ headers, originalUrl }: Request, reads: ReadCounter): HttpResponse | undefined {
    if (!this.#access.acceptsToken(restToken(headers.authorization, originalUrl) ?? '')) {
      reads.countRead('upstash', 'unauthorized');
      return errorResponse(UNAUTHORIZED, 401, ['WWW-Authenticate', 'Bearer realm="keys"']);
    }
    const { 'upstash-response-format': format = 'json', 'upstash-encoding': encoding = 'base64' } = headers;
    if (format !== 'json') return errorResponse(JSON_ONLY);
    return encoding === 'base64' ? undefined : errorResponse(BASE64_ONLY);
  }

  async #runOne(command: RestCommand | BadRequest, client: RestClient): Promise<HttpResponse> {
    if (isBadRequest(command)) return badRequestResponse(command);
    return this.#run([command], client, ([write], rendering) => commandResponse(write, rendering));
  }

  async #runAll(commands: readonly RestCommand[] | BadRequest, client: RestClient): Promise<HttpResponse> {
    if (isBadRequest(commands)) return badRequestResponse(commands);
    return this.#run(commands, client, pipelineResponse);
  }

  async #run(
    commands: readonly RestCommand[],
    { reads, reader, encoding }: RestClient,
    render: (replies: readonly WriteReply[], rendering: RestRendering) => Promise<HttpResponse | number>,
  ): Promise<HttpResponse> {
    const prepared = this.#commands.prepare(commands, reads, reader);
    if ('error' in prepared) return badRequestResponse(prepared);
    const { plan, replies } = prepared;
    const response = await renderBuffered(this.#buffered, reader, async (room) => {
      await (room === undefined ? plan.read() : plan.readAgain(room));
      return {
        values: plan.values,
        render: (allocate) => render(replies, { encoding, allocate, maxBytes: this.#maxBytes }),
        drop: () => plan.discardValues(),
      };
    });
    return response ?? errorResponse(FAILURES.overloaded);
  }

  #rejectMethod(allowed: string, request: Request, response: Response): void {
    const isPreflight = this.#cors.on && request.method === 'OPTIONS';
    const content = isPreflight
      ? this.#cors.preflight(allowed, REQUEST_HEADERS)
      : errorResponse(`ERR method not allowed (allowed: ${allowed})`, 405, ['Allow', allowed]);
    this.#send(content, request, response);
  }

  #send(content: HttpResponse, request: Request, response: Response): void {
    sendBuffered(content, request.method, response, this.#buffered, this.#cors.headersFor(request.headers.origin));
  }
}

const UNAUTHORIZED = 'WRONGPASS invalid or missing auth token';
const JSON_ONLY = 'ERR unsupported Upstash-Response-Format (only json)';
const BASE64_ONLY = 'ERR unsupported Upstash-Encoding (only base64)';
const NO_TRANSACTIONS = 'ERR transactions are not supported because reads may come from the cache; use /pipeline';
const BAD_ENCODING = 'ERR invalid percent-encoding in the path';
const BODY_TOO_LARGE = `ERR the body exceeds ${MAX_BODY_BYTES} bytes`;
const BODY_ENCODED = 'ERR Content-Encoding is not supported';

/** Request headers of Upstash's client, which pages of other origins may send. */
const REQUEST_HEADERS =
  'Upstash-Encoding, Upstash-Sync-Token, Upstash-Telemetry-Platform, Upstash-Telemetry-Retry, ' +
  'Upstash-Telemetry-Runtime, Upstash-Telemetry-Sdk';

function encodingFor({ headers }: Request): RestEncoding {
  return headers['upstash-encoding'] === 'base64' ? 'base64' : 'utf8';
}

function badRequestResponse({ error, tooMuch }: BadRequest): HttpResponse {
  return errorResponse(error, tooMuch ? 413 : 400);
}

/** Reads the body, whatever its Content-Type; returns an error response, or undefined if the client has disconnected. */
function bodyOf(request: Request): Promise<Buffer | HttpResponse | undefined> {
  return readPlainBody(request, { encoded: errorResponse(BODY_ENCODED), tooLarge: errorResponse(BODY_TOO_LARGE, 413) });
}
