import { Buffer } from 'node:buffer';
import {
  RESOURCES,
  type RepresentationName,
  type Resource,
  type ResourceRead,
  readFromQuery,
} from '../resources/resource.ts';

/** Queries that are remembered, each in the place that its hash gives. */
const PLACES = 256;
/** Longest query that is remembered, in bytes. */
const MAX_QUERY_BYTES = 256;

interface Remembered {
  readonly resource: Resource;
  readonly query: Buffer;
  readonly read: ResourceRead;
}

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
  readonly #remembered = Array.from({ length: PLACES }, (): Remembered | undefined => undefined);

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
    const place = hash(bytes, from, to) % PLACES;
    const found = this.#remembered[place];
    if (found?.resource === resource && isEqual(found.query, bytes, from, to)) return found.read;
    const read = readFromQuery(resource, bytes.toString('latin1', from, to));
    if (typeof read === 'string') return undefined;
    if (to - from <= MAX_QUERY_BYTES) {
      this.#remembered[place] = { resource, query: Buffer.from(bytes.subarray(from, to)), read };
    }
    return read;
  }
}

/** FNV-1a. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0;
}

function isEqual(query: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (query.length !== to - from) return false;
  for (let i = 0; i < query.length; i++) if (query[i] !== bytes[from + i]) return false;
  return true;
}
