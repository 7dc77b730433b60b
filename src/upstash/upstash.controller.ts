import { All, Controller, Get, HttpCode, Options, Post, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import { Access } from '../access/access.ts';
import { BufferedBytes, type ReadClient } from '../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../cache/cache.service.ts';
import { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { FAILURES } from '../redis-commands/key-replies.ts';
import type { WriteReply } from '../redis-commands/read-plan.ts';
import { MAX_BODY_BYTES, readPlainBody } from '../http/request/read-body.ts';
import { renderBuffered } from '../http/response/buffered-response.ts';
import type { HttpResponse } from '../http/response/http-response.ts';
import { CollectedReads, ReadResponse } from '../http/response/read-response.ts';
import { Client } from '../http/request/request-client.ts';
import { maxResultsBytes } from '../http/response/json/results-body.ts';
import { COMMAND_ROUTE, commandFromTarget } from './command-path.ts';
import { type RestRendering, commandResponse, errorResponse, pipelineResponse } from './rest-response.ts';
import { type PreparedCommands, RestCommands } from './rest-commands.ts';
import type { RestEncoding } from './rest-reply.ts';
import { type BadRequest, type RestCommand, isBadRequest, parseCommand, parsePipeline } from './rest-request.ts';
import { AllowedMethods, UpstashGuard } from './upstash.guard.ts';

const PIPELINE_PATH = 'pipeline';
const TRANSACTION_PATH = 'multi-exec';
/** Methods with which a command may be sent in the path; with the last two, its last argument is in the body. */
const COMMAND_PATH_METHODS = ['GET', 'HEAD', 'POST', 'PUT'];

/**
 * Upstash's REST API, for clients that cannot connect to Redis, such as edge functions. Handlers return undefined if the
 * client has disconnected.
 */
@Controller()
@UseGuards(UpstashGuard)
@AllowedMethods(['POST'])
export class UpstashController {
  readonly #buffered: BufferedBytes;
  readonly #maxBytes: number;
  readonly #commands: RestCommands;

  constructor(access: Access, buffered: BufferedBytes, cache: CacheService, refused: RefusedCommands) {
    this.#buffered = buffered;
    this.#maxBytes = maxResultsBytes(buffered.limit);
    this.#commands = new RestCommands(cache, access, refused, this.#maxBytes);
  }

  @Post()
  @HttpCode(200)
  async command(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    const body = await bodyOf(request);
    return Buffer.isBuffer(body) ? this.#runOne(parseCommand(body), request, client) : body;
  }

  @Post(PIPELINE_PATH)
  @HttpCode(200)
  async pipeline(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    const body = await bodyOf(request);
    if (!Buffer.isBuffer(body)) return body;
    const commands = parsePipeline(body);
    if (isBadRequest(commands)) return reject(commands);
    const reads = new CollectedReads();
    return this.#run(this.#commands.prepare(commands, reads, client), reads, pipelineResponse, request, client);
  }

  @Post(TRANSACTION_PATH)
  @HttpCode(200)
  async transaction(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    const body = await bodyOf(request);
    if (!Buffer.isBuffer(body)) return body;
    const commands = parsePipeline(body);
    if (isBadRequest(commands)) return reject(commands);
    const reads = new CollectedReads();
    const prepared = this.#commands.prepareTransaction(commands, reads, client);
    return this.#run(prepared, reads, pipelineResponse, request, client);
  }

  @Get(COMMAND_ROUTE)
  @AllowedMethods(COMMAND_PATH_METHODS)
  async path(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    const command = commandFromTarget(request.originalUrl);
    if (command === undefined) return BAD_ENCODING;
    if (request.method !== 'POST' && request.method !== 'PUT') return this.#runOne(command, request, client);
    const body = await bodyOf(request);
    if (!Buffer.isBuffer(body)) return body;
    return this.#runOne(body.length === 0 ? command : [...command, body], request, client);
  }

  @All(COMMAND_ROUTE)
  @AllowedMethods(COMMAND_PATH_METHODS)
  pathWithBody(@Req() request: Request, @Client() client: ReadClient): Promise<ReadResponse | undefined> {
    return this.path(request, client);
  }

  /** Never runs: makes the guard respond to preflight requests. */
  @Options()
  commandOptions(): void {}

  /** Never runs: makes the guard respond to preflight requests and to methods that are not allowed. */
  @All([PIPELINE_PATH, TRANSACTION_PATH])
  otherMethods(): void {}

  async #runOne(command: RestCommand | BadRequest, request: Request, client: ReadClient): Promise<ReadResponse> {
    if (isBadRequest(command)) return reject(command);
    const reads = new CollectedReads();
    const prepared = this.#commands.prepare([command], reads, client);
    return this.#run(prepared, reads, ([write], rendering) => commandResponse(write, rendering), request, client);
  }

  /** @param reads counts the reads of the commands. */
  async #run(
    prepared: PreparedCommands | BadRequest,
    reads: CollectedReads,
    render: (replies: readonly WriteReply[], rendering: RestRendering) => Promise<HttpResponse | number>,
    request: Request,
    client: ReadClient,
  ): Promise<ReadResponse> {
    if ('error' in prepared) return reject(prepared, reads);
    const { plan, replies } = prepared;
    const encoding = encodingFor(request);
    const response = await renderBuffered(this.#buffered, client, async (reservation) => {
      await (reservation === undefined ? plan.read() : plan.readAgain(reservation));
      return {
        values: plan.values,
        render: (allocate) => render(replies, { encoding, allocate, maxBytes: this.#maxBytes }),
        drop: () => plan.discardValues(),
      };
    });
    return new ReadResponse(response ?? errorResponse(FAILURES.overloaded), 'upstash', reads.outcomes);
  }
}

const BAD_ENCODING = failure('ERR invalid percent-encoding in the path');
const BODY_TOO_LARGE = errorResponse(`ERR the body exceeds ${MAX_BODY_BYTES} bytes`, 413);
const BODY_ENCODED = errorResponse('ERR Content-Encoding is not supported');

function failure(error: string): ReadResponse {
  return new ReadResponse(errorResponse(error), 'upstash');
}

/** @param reads reads that were rejected before the request was. */
function reject({ error, tooMuch }: BadRequest, reads = new CollectedReads()): ReadResponse {
  return new ReadResponse(errorResponse(error, tooMuch ? 413 : 400), 'upstash', reads.outcomes);
}

function encodingFor({ headers }: Request): RestEncoding {
  return headers['upstash-encoding'] === 'base64' ? 'base64' : 'utf8';
}

/** Reads the body, whatever its Content-Type; returns an error response, or undefined if the client has disconnected. */
async function bodyOf(request: Request): Promise<Buffer | ReadResponse | undefined> {
  const body = await readPlainBody(request, { encoded: BODY_ENCODED, tooLarge: BODY_TOO_LARGE });
  return body === undefined || Buffer.isBuffer(body) ? body : new ReadResponse(body, 'upstash');
}
