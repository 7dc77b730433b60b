import { Buffer } from 'node:buffer';
import { FAILURES } from '../commands/key-replies.ts';
import type { WriteReply } from '../commands/read-plan.ts';
import type { Answer } from '../http/answer.ts';
import { MAX_ANSWER_BYTES, resultsBody } from '../http/results-body.ts';
import { type RestEncoding, RestReply } from './rest-reply.ts';

/** By an error's first word: what Redis is to blame for, and not the request. */
const STATUSES: Readonly<Record<string, number>> = { TIMEOUT: 504, UNAVAILABLE: 503, OVERLOADED: 503 };

/** The answer to one command. */
export function commandAnswer(write: WriteReply, encoding: RestEncoding): Answer {
  const reply = written(write);
  const { body, failure } = rendered(reply, encoding, MAX_ANSWER_BYTES);
  return failure === undefined ? restAnswer(200, body) : failureAnswer(failure);
}

/** The answer to a pipeline: a result for each command, in order. */
export async function pipelineAnswer(writes: readonly WriteReply[], encoding: RestEncoding): Promise<Answer> {
  const results = await resultsBody(['[', ']'], writes, (write, maxBytes) => {
    const { body, failure } = rendered(written(write), encoding, maxBytes);
    return { body, takesRoom: failure === undefined };
  });
  return restAnswer(200, results);
}

/** The answer to a request of which no command is carried out, or to one whose command has failed. */
export function failureAnswer(error: string, status = statusOf(error), headers: readonly string[] = []): Answer {
  const more = status === 503 ? ['Retry-After', '1', ...headers] : headers;
  return restAnswer(status, Buffer.from(JSON.stringify({ error })), more);
}

function statusOf(error: string): number {
  return STATUSES[error.split(' ', 1)[0]] ?? 400;
}

function written(write: WriteReply): RestReply {
  const reply = new RestReply();
  write(reply);
  return reply;
}

function rendered(
  reply: RestReply,
  encoding: RestEncoding,
  maxBytes: number,
): { readonly body: Buffer; readonly failure: string | undefined } {
  if (reply.bytes <= maxBytes) {
    const body = Buffer.from(JSON.stringify(reply.toJson(encoding)));
    if (body.length <= maxBytes || reply.failure !== undefined) return { body, failure: reply.failure };
  }
  const failure = FAILURES['too-large'];
  return { body: Buffer.from(JSON.stringify({ error: failure })), failure };
}

function restAnswer(status: number, body: Buffer, headers: readonly string[] = []): Answer {
  return {
    status,
    headers: [
      ...['Content-Type', 'application/json', 'Content-Length', String(body.length), 'Cache-Control', 'no-store'],
      ...headers,
    ],
    body,
  };
}
