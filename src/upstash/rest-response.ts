import { Buffer } from 'node:buffer';
import { FAILURES } from '../redis-commands/key-replies.ts';
import type { WriteReply } from '../redis-commands/read-plan.ts';
import type { HttpResponse } from '../http/response/http-response.ts';
import { type Allocate, type Result, ResultsBody } from '../http/response/results-body.ts';
import { type RestEncoding, RestReply } from './rest-reply.ts';

/** By an error's first word: what Redis is to blame for, and not the request. */
const STATUSES: Readonly<Record<string, number>> = { TIMEOUT: 504, UNAVAILABLE: 503, OVERLOADED: 503 };

/** How the results of an answer are written. */
export interface RestRendering {
  readonly encoding: RestEncoding;
  /** Memory for the body; undefined when there is none now. */
  readonly allocate: Allocate;
  /** Bytes of the results that are not errors. */
  readonly maxBytes: number;
}

/**
 * The answer to one command.
 *
 * @returns the length of the body when there is no memory for it.
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
 * The answer to a pipeline: a result for each command, in order.
 *
 * @returns the length of the body when there is no memory for it.
 */
export async function pipelineResponse(
  writes: readonly WriteReply[],
  { encoding, allocate, maxBytes }: RestRendering,
): Promise<HttpResponse | number> {
  const results = writes.map((write) => resultOf(written(write), encoding));
  return resultsResponse(await ResultsBody.of(['[', ']'], results, TOO_LARGE, maxBytes), allocate);
}

/** The answer to a request of which no command is carried out, or to one whose command has failed. */
export function errorResponse(error: string, status = statusOf(error), headers: readonly string[] = []): HttpResponse {
  const more = status === 503 ? ['Retry-After', '1', ...headers] : headers;
  return restResponse(status, Buffer.from(JSON.stringify({ error })), more);
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
  return body === undefined ? measured.bytes : restResponse(200, body);
}

const TOO_LARGE = JSON.stringify({ error: FAILURES['too-large'] });

function restResponse(status: number, body: Buffer, headers: readonly string[] = []): HttpResponse {
  return {
    status,
    headers: [
      ...['Content-Type', 'application/json', 'Content-Length', String(body.length), 'Cache-Control', 'no-store'],
      ...headers,
    ],
    body,
  };
}
