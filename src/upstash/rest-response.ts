import { Buffer } from 'node:buffer';
import { FAILURES } from '../redis-commands/key-replies.ts';
import type { WriteReply } from '../redis-commands/read-plan.ts';
import { type HttpResponse, jsonBodyResponse } from '../http/response/http-response.ts';
import { type Allocate, type Result, ResultsBody } from '../http/response/json/results-body.ts';
import { type RestEncoding, RestReply } from './rest-reply.ts';

/** Status by the first word of an error, for errors caused by Redis; 400 for any other. */
const STATUSES: Readonly<Record<string, number>> = { TIMEOUT: 504, UNAVAILABLE: 503, OVERLOADED: 503 };

/** How the results of a response are rendered. */
export interface RestRendering {
  readonly encoding: RestEncoding;
  /** Allocates memory for the body; undefined if none is available now. */
  readonly allocate: Allocate;
  /** Limit for the results that are not errors, in bytes. */
  readonly maxBytes: number;
}

/**
 * Renders the response to one command.
 *
 * @returns the length of the body if no memory is available for it.
 */
export async function commandResponse(
  write: WriteReply,
  { encoding, allocate, maxBytes }: RestRendering,
): Promise<HttpResponse | number> {
  const reply = written(write);
  if (reply.failure !== undefined) return errorResponse(reply.failure);
  const measured = await ResultsBody.of(['', ''], [resultOf(reply, encoding)], '', maxBytes);
  if (measured.bytes === 0) return errorResponse(FAILURES['too-large']);
  return resultsResponse(measured, allocate);
}

/**
 * Renders the response to a pipeline: a result for each command, in order.
 *
 * @returns the length of the body if no memory is available for it.
 */
export async function pipelineResponse(
  writes: readonly WriteReply[],
  { encoding, allocate, maxBytes }: RestRendering,
): Promise<HttpResponse | number> {
  const results = writes.map((write) => resultOf(written(write), encoding));
  return resultsResponse(await ResultsBody.of(['[', ']'], results, TOO_LARGE, maxBytes), allocate);
}

/** Renders the response to a rejected request, or to one whose only command has failed. */
export function errorResponse(error: string, status = statusOf(error), headers: readonly string[] = []): HttpResponse {
  const more = status === 503 ? ['Retry-After', '1', ...headers] : headers;
  return jsonBodyResponse(status, Buffer.from(JSON.stringify({ error })), more);
}

function statusOf(error: string): number {
  return STATUSES[error.split(' ', 1)[0]] ?? 400;
}

function written(write: WriteReply): RestReply {
  const reply = new RestReply();
  write(reply);
  return reply;
}

function resultOf(reply: RestReply, encoding: RestEncoding): Result {
  return { parts: reply.toParts(encoding), counted: reply.failure === undefined };
}

async function resultsResponse(measured: ResultsBody, allocate: Allocate): Promise<HttpResponse | number> {
  const body = await measured.write(allocate);
  return body === undefined ? measured.bytes : jsonBodyResponse(200, body);
}

const TOO_LARGE = JSON.stringify({ error: FAILURES['too-large'] });
