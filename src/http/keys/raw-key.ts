import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { HttpResponse } from '../response/http-response.ts';
import { ResponseException } from '../response/problem.filter.ts';
import { ReadResponse } from '../response/read-response.ts';
import { badKeyResponse } from './key-response.ts';
import { ENTRIES_PATH, KEYS_PATH, keyFromTarget } from './key-path.ts';
import { requestOf } from '../request/http-context.ts';

/** Yields the key to read, from the path, byte for byte. A bad key is a read that is rejected. */
export const KeyToRead = createParamDecorator((_data: unknown, context: ExecutionContext): Buffer =>
  keyIn(context, KEYS_PATH, (response) => new ReadResponse(response, 'http', ['bad-key'])),
);

/** Yields the key of an entry to purge, from the path, byte for byte. */
export const KeyToPurge = createParamDecorator((_data: unknown, context: ExecutionContext): Buffer =>
  keyIn(context, ENTRIES_PATH, (response) => response),
);

function keyIn(
  context: ExecutionContext,
  prefix: string,
  rejection: (response: HttpResponse) => HttpResponse | ReadResponse,
): Buffer {
  const key = keyFromTarget(requestOf(context).originalUrl, prefix);
  if (typeof key === 'string') throw new ResponseException(rejection(badKeyResponse(key)));
  return key;
}
