import { Buffer } from 'node:buffer';
import {
  RESOURCES,
  type RepresentationName,
  type Resource,
  type ResourceRead,
  readFromQuery,
} from '../resources/resource.ts';
import { ByteMemo } from './byte-memo.ts';

/** Maximum number of queries that are remembered. */
const MAX_QUERIES = 256;

/** How parts of a resource are read. */
interface PartReads {
  /** The selector of a part, up to its length. */
  readonly selectorHead: Buffer;
  readonly representation: RepresentationName;
  readonly read: (part: Buffer) => ResourceRead;
}

/**
 * The reads that requests for resources name, without allocating for a query that was used lately: a bounded number of
 * queries is remembered with their selectors.
 */
export class ResourceReads {
  readonly #whole = new Map<Resource, ResourceRead>();
  readonly #parts = new Map<Resource, PartReads>();
  readonly #remembered = new ByteMemo<{ readonly resource: Resource; readonly read: ResourceRead }>(MAX_QUERIES);

  constructor() {
    for (const resource of Object.values<Resource>(RESOURCES)) {
      const read = readFromQuery(resource, undefined);
      if (typeof read === 'string') throw new Error(read);
      this.#whole.set(resource, read);
      const { readPart } = resource;
      if (readPart === undefined) continue;
      const { selector, representation } = readPart(Buffer.alloc(0));
      this.#parts.set(resource, { selectorHead: selector.subarray(0, -1), representation, read: readPart });
    }
  }

  /** Returns the read of a request without a query. */
  whole(resource: Resource): ResourceRead | undefined {
    return this.#whole.get(resource);
  }

  /** Returns how parts of a resource are read; undefined if it has none. */
  part(resource: Resource): PartReads | undefined {
    return this.#parts.get(resource);
  }

  /** Returns the read of a request with a query, bytes [from, to) of `bytes`; undefined if node:http must reject it. */
  withQuery(resource: Resource, bytes: Buffer, from: number, to: number): ResourceRead | undefined {
    const found = this.#remembered.get(bytes, from, to);
    if (found?.resource === resource) return found.read;
    const read = readFromQuery(resource, bytes.toString('latin1', from, to));
    if (typeof read === 'string') return undefined;
    this.#remembered.set(bytes, from, to, { resource, read });
    return read;
  }
}
