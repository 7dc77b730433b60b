import { KeyRules } from '../../access/key-rules.ts';
import type { DirectedOutcome } from '../../cache/read-through/read-outcome.ts';
import { type Conversion, compression, decompression } from '../../cache/variants/variant-reads.ts';
import { CONTENT_CODINGS, type ContentCoding, type Settings } from '../../config/settings.ts';
import type { CachingPolicy } from '../keys/caching-policy.ts';
import type { KeyResponsePolicy } from '../keys/key-response.ts';
import type { RepresentationName } from '../resources/resource.ts';
import { type AcceptedCodings, NO_CODINGS, acceptedCodings } from './accepted-codings.ts';

/** How what a request reads is represented in the response. */
export interface Representation {
  /** The policy of responses with the value itself. */
  readonly policy: KeyResponsePolicy;
  /** The compressed or decompressed form to serve instead, and its policy; undefined: the value itself is served. */
  readonly variant: { readonly conversion: Conversion; readonly policy: KeyResponsePolicy } | undefined;
}

/** Returns the policy of the response to a read. */
export function policyFor({ policy, variant }: Representation, outcome: DirectedOutcome): KeyResponsePolicy {
  return variant !== undefined && 'isVariant' in outcome && outcome.isVariant === true ? variant.policy : policy;
}

/** Media types that are worth compressing, without their parameters; binary formats are compressed already. */
const COMPRESSIBLE =
  /^(?:text\/.+|.+\+(?:json|xml|text|yaml)|application\/(?:json|ndjson|xml|yaml|toml|javascript|ecmascript|graphql|sql|wasm))$/;

/** Digits of the number under which a representation is kept: its name, the coding of the value and the one of its variant. */
const NAMES: readonly RepresentationName[] = ['value', 'json', 'field', 'member'];
const CODINGS: readonly (ContentCoding | undefined)[] = [undefined, ...CONTENT_CODINGS];

/**
 * The representations of values: their media types and codings by key (HTTP_CONTENT_TYPES, HTTP_CONTENT_ENCODINGS) and by what
 * clients accept (HTTP_COMPRESSION).
 */
export class Representations {
  /** Whether representations depend on the key, or on what the client accepts. */
  readonly differ: boolean;
  /** Whether representations depend on the Accept-Encoding header. */
  readonly dependOnCodings: boolean;
  readonly #policy: CachingPolicy;
  readonly #types: KeyRules;
  readonly #encodings: KeyRules;
  readonly #compression: readonly ContentCoding[];
  readonly #minBytes: number;
  /** The representations that have been used. */
  readonly #made = new Map<number, Representation>();

  constructor(http: Settings['http'], policy: CachingPolicy) {
    this.#policy = policy;
    this.#types = new KeyRules(http.contentTypes);
    this.#encodings = new KeyRules(http.contentEncodings);
    this.#compression = http.compression;
    this.#minBytes = http.compressionMinBytes;
    this.dependOnCodings = this.#encodings.values.length > 0 || this.#compression.length > 0;
    this.differ = this.dependOnCodings || this.#types.values.length > 0;
  }

  /** Parses an Accept-Encoding header, if representations depend on it. */
  accepted(acceptEncoding: string | undefined): AcceptedCodings {
    return this.dependOnCodings ? acceptedCodings(acceptEncoding, this.#compression) : NO_CODINGS;
  }

  /** Returns a representation of the key, bytes [from, to) of source, for a client that accepts these codings. */
  of(
    name: RepresentationName,
    { accepted, compression: coding }: AcceptedCodings,
    source: Uint8Array,
    from = 0,
    to = source.length,
  ): Representation {
    const hasRules = name === 'value' || name === 'field';
    const type = hasRules ? this.#types.find(source, from, to) : -1;
    const encoding = hasRules ? this.#encodings.find(source, from, to) : -1;
    const stored = this.#codingOf(encoding);
    const selected = stored === undefined ? coding : accepted.has(stored) ? undefined : stored;
    const codings = CODINGS.indexOf(stored) * CODINGS.length + CODINGS.indexOf(selected);
    const number = ((type + 1) * NAMES.length + NAMES.indexOf(name)) * CODINGS.length ** 2 + codings;
    let made = this.#made.get(number);
    if (made === undefined) {
      made = this.#make(name, type, stored, selected);
      this.#made.set(number, made);
    }
    return made;
  }

  /**
   * @param type index of the media type; -1: that of all keys.
   * @param stored the coding of the value.
   * @param selected the coding to compress the value with, or the one to decompress it from.
   */
  #make(
    name: RepresentationName,
    type: number,
    stored: ContentCoding | undefined,
    selected: ContentCoding | undefined,
  ): Representation {
    const base = this.#policy.representations[name];
    const contentType = type === -1 ? base.contentType : this.#types.values[type];
    if (contentType === undefined) return { policy: base, variant: undefined };
    const variesByCoding = stored !== undefined || (this.#compression.length > 0 && isCompressible(contentType));
    const policyWith = (contentEncoding: ContentCoding | undefined): KeyResponsePolicy =>
      this.#policy.withContent(base, { contentType, contentEncoding, variesByCoding });
    const policy = policyWith(stored);
    if (selected === undefined || !variesByCoding) return { policy, variant: undefined };
    return stored === undefined
      ? { policy, variant: { conversion: compression(selected, this.#minBytes), policy: policyWith(selected) } }
      : { policy, variant: { conversion: decompression(stored), policy: policyWith(undefined) } };
  }

  #codingOf(encoding: number): ContentCoding | undefined {
    return encoding === -1 ? undefined : (this.#encodings.values[encoding] as ContentCoding);
  }
}

function isCompressible(contentType: string): boolean {
  return COMPRESSIBLE.test(contentType.split(';')[0].toLowerCase());
}
