import Negotiator from 'negotiator';
import { CONTENT_CODINGS, type ContentCoding } from '../../config/settings.ts';

/** What an Accept-Encoding header (RFC 9110, section 12.5.3) says of the codings of a response. */
export interface AcceptedCodings {
  /** Codings that the client accepts at least as much as content without any. */
  readonly accepted: ReadonlySet<ContentCoding>;
  /** The coding to compress content with; undefined: none. */
  readonly compression: ContentCoding | undefined;
}

/**
 * Longest header that is parsed; a longer one is ignored, as RFC 9110, section 12.5.3, permits. Browsers send some 30 bytes, and
 * a header of 200 KiB would take a tenth of a second.
 */
const MAX_HEADER_LENGTH = 1024;

/** The codings of a request without the header, whose client need not know any. */
export const NO_CODINGS: AcceptedCodings = { accepted: new Set(), compression: undefined };

/**
 * Parses an Accept-Encoding header.
 *
 * @param compression codings to compress content with; the first of those that the client accepts equally is selected.
 */
export function acceptedCodings(
  acceptEncoding: string | undefined,
  compression: readonly ContentCoding[],
): AcceptedCodings {
  if (acceptEncoding === undefined || acceptEncoding.length > MAX_HEADER_LENGTH) return NO_CODINGS;
  // An alias (RFC 9110, section 8.4.1.3).
  const header = acceptEncoding.replaceAll(/x-gzip/gi, 'gzip');
  const negotiator = new Negotiator({ headers: { 'accept-encoding': header } });
  const best = (codings: readonly ContentCoding[]): ContentCoding | undefined => {
    const available = [...codings, 'identity'];
    const [first] = negotiator.encodings(available, { preferred: available });
    return codings.find((coding) => coding === first);
  };
  return {
    accepted: new Set(CONTENT_CODINGS.filter((coding) => best([coding]) === coding)),
    compression: best(compression),
  };
}
