import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { HttpResponse } from '../response/http-response.ts';
import { ResponseException } from '../response/problem.filter.ts';
import { ReadResponse } from '../response/read-response.ts';
import { badKeyResponse } from './key-response.ts';
import {
  ENTRIES_PATH,
  KEYS_PATH,
  type KeyProblem,
  keyFromTarget,
  keyPrefixOf,
  partFromTarget,
} from '../request/key-path.ts';
import { requestOf } from '../request/http-context.ts';

/** Yields the key to read, from the path, byte for byte. A bad key is a read that is rejected. */
export const KeyToRead = createParamDecorator((_data: unknown, context: ExecutionContext): Buffer => {
  const { originalUrl } = requestOf(context);
  return validKey(keyFromTarget(originalUrl, keyPrefixOf(originalUrl) ?? KEYS_PATH), rejectedRead);
});

/** Yields the name of a field or a member to read, from the path after the key, byte for byte. */
export const PartToRead = createParamDecorator((_data: unknown, context: ExecutionContext): Buffer => {
  const { originalUrl } = requestOf(context);
  return validKey(partFromTarget(originalUrl, keyPrefixOf(originalUrl) ?? KEYS_PATH) ?? 'empty', rejectedRead);
});

/** Yields the key of an entry to purge, from the path, byte for byte. */
export const KeyToPurge = createParamDecorator((_data: unknown, context: ExecutionContext): Buffer =>
  validKey(keyFromTarget(requestOf(context).originalUrl, ENTRIES_PATH), (response) => response),
);

function rejectedRead(response: HttpResponse): ReadResponse {
  return new ReadResponse(response, 'http', ['bad-key']);
}

function validKey(
  key: Buffer | KeyProblem,
  rejection: (response: HttpResponse) => HttpResponse | ReadResponse,
): Buffer {
  if (typeof key === 'string') throw new ResponseException(rejection(badKeyResponse(key)));
  return key;
}
