import type { Access } from '../../access/access.ts';
import { KeyRules } from '../../access/key-rules.ts';
import type { CoherenceState } from '../../instance/coherence-state.ts';
import type { Settings } from '../../config/settings.ts';
import type { RepresentationName } from '../resources/resource.ts';
import { problem } from '../response/problem.ts';
import { KEY_NOT_FOUND, type KeyResponsePolicy, VALUE_TOO_LARGE } from './key-response.ts';

const JSON_TOO_LARGE = problem(
  'value-too-large',
  'The value exceeds REDIS_MAX_VALUE_BYTES, or its JSON 16 MiB or PROXY_MAX_BUFFERED_BYTES.',
);
const NO_FIELD = problem('field-not-found', 'The hash has no such field, or Redis has no such key.');
const NO_MEMBER = problem('member-not-found', 'The set has no such member, or Redis has no such key.');

/** The policy of all responses with values, from the settings and the current coherence mode. */
export class CachingPolicy implements KeyResponsePolicy {
  readonly contentType: string;
  readonly sandbox: boolean;
  readonly notFound = KEY_NOT_FOUND;
  readonly tooLarge = VALUE_TOO_LARGE;
  readonly private: boolean;
  readonly honoursDirectives: boolean;
  /** The policy of each representation, of keys for which there is no other. */
  readonly representations: Readonly<Record<RepresentationName, KeyResponsePolicy>>;
  /** Whether representations differ between keys. */
  readonly differsByKey: boolean;
  readonly #types: KeyRules;
  /** Policies of values, and of fields of hashes, in the order of the types. */
  readonly #byType: Readonly<Partial<Record<RepresentationName, readonly KeyResponsePolicy[]>>>;
  readonly #coherence: CoherenceState;

  constructor(http: Settings['http'], access: Access, coherence: CoherenceState) {
    this.contentType = http.contentType;
    this.sandbox = needsSandbox(http.contentType);
    this.private = access.tokenRequired;
    this.honoursDirectives = http.requestCacheControl === 'honour';
    this.#coherence = coherence;
    const { contentType, sandbox, notFound, tooLarge } = this;
    const value = { contentType, sandbox, notFound, tooLarge };
    this.representations = {
      value: this,
      // Browsers show JSON as text, or in a viewer that a sandbox could break.
      json: this.#with({
        contentType: 'application/json',
        sandbox: false,
        notFound: KEY_NOT_FOUND,
        tooLarge: JSON_TOO_LARGE,
      }),
      field: this.#with({ ...value, notFound: NO_FIELD }),
      member: this.#with({ ...value, contentType: undefined, sandbox: false, notFound: NO_MEMBER }),
    };
    this.#types = new KeyRules(http.contentTypes);
    this.differsByKey = this.#types.values.length > 0;
    const withTypes = (policy: KeyResponsePolicy): readonly KeyResponsePolicy[] =>
      this.#types.values.map((type) => this.#with({ ...policy, contentType: type, sandbox: needsSandbox(type) }));
    this.#byType = { value: withTypes(this), field: withTypes(this.representations.field) };
  }

  /** Returns the policy of a representation of the key, bytes [from, to) of source. */
  of(name: RepresentationName, source: Uint8Array, from = 0, to = source.length): KeyResponsePolicy {
    const byType = this.#byType[name];
    return byType?.[this.#types.find(source, from, to)] ?? this.representations[name];
  }

  get revalidate(): boolean {
    return !this.#coherence.allowsDownstreamCaching;
  }

  /** Returns the policy of responses with another representation than the bytes of a key's value. */
  #with(
    representation: Pick<KeyResponsePolicy, 'contentType' | 'sandbox' | 'notFound' | 'tooLarge'>,
  ): KeyResponsePolicy {
    const isRevalidated = (): boolean => this.revalidate;
    const { contentType, sandbox, notFound, tooLarge } = representation;
    return {
      ...{ contentType, sandbox, notFound, tooLarge },
      private: this.private,
      honoursDirectives: this.honoursDirectives,
      get revalidate() {
        return isRevalidated();
      },
    };
  }
}

/** Whether browsers might render content of this type: they save the type excepted here. */
function needsSandbox(contentType: string): boolean {
  return contentType !== 'application/octet-stream';
}
