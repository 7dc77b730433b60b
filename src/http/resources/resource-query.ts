import { unknownParameter } from '../request/unknown-input.ts';
import type { Resource, ResourceRead } from './resource.ts';

/**
 * Parses the query of a request for a resource, in UTF-8: `start=0&stop=9`; undefined if there is none. Returns the read, or a
 * sentence that says what is invalid.
 */
export function readFromQuery(resource: Resource, query: string | undefined): ResourceRead | string {
  if (query === undefined) return resource.read(NO_PARAMETERS);
  const unknown = unknownParameter(query, resource.parameters);
  return unknown ?? resource.read(new Map(new URLSearchParams(query)));
}

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();
