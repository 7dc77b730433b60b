import type { Access } from '../../access/access.ts';
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
  /** The policy of each representation. */
  readonly representations: Readonly<Record<RepresentationName, KeyResponsePolicy>>;
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
  }

  get revalidate(): boolean {
    return !this.#coherence.allowsDownstreamCaching;
  }

  /** Returns the policy of responses with other content than that of `base`. */
  withContent(
    base: KeyResponsePolicy,
    content: Pick<KeyResponsePolicy, 'contentEncoding' | 'variesByCoding'> & { readonly contentType: string },
  ): KeyResponsePolicy {
    const { notFound, tooLarge } = base;
    const sandbox = base.contentType === content.contentType ? base.sandbox : needsSandbox(content.contentType);
    return this.#with({ notFound, tooLarge, sandbox, ...content });
  }

  /** Returns the policy of responses with another representation than the bytes of a key's value. */
  #with(representation: Omit<KeyResponsePolicy, 'private' | 'revalidate' | 'honoursDirectives'>): KeyResponsePolicy {
    const isRevalidated = (): boolean => this.revalidate;
    return {
      ...representation,
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
