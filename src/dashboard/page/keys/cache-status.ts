/** Explains a `Cache-Status` field (RFC 9211) in a sentence; undefined if it has neither `hit` nor `fwd`. */
export function explainCacheStatus(field: string | null, status: number): string | undefined {
  const parameters = parse(field ?? '');
  const forwardReason = parameters.get('fwd');
  const ttl = Number(parameters.get('ttl'));
  if (parameters.has('hit')) {
    if (ttl < 0) {
      const why = parameters.get('detail') === 'stale-while-revalidate' ? 'is being reloaded' : 'Redis is unavailable';
      return `Served from the cache, stale: it expired ${seconds(-ttl)} ago, and ${why}.`;
    }
    if (status === 404) return `Served from the cache: the key does not exist. Expires in ${seconds(ttl)}.`;
    return `Served from the cache. Expires in ${seconds(ttl)}.`;
  }
  if (forwardReason === undefined) return undefined;
  return `${FORWARD_REASONS[forwardReason] ?? 'Not served from the cache.'} ${explainLoad(parameters, status)}`;
}

const FORWARD_REASONS: Readonly<Record<string, string>> = {
  'uri-miss': 'Not cached.',
  stale: 'The cached value had expired.',
  request: 'The request asked for a fresh value.',
};

function explainLoad(parameters: ReadonlyMap<string, string>, status: number): string {
  if (parameters.has('collapsed')) return 'Coalesced into a load that was already in flight.';
  if (status === 503) return 'Redis is unavailable.';
  if (status === 504) return 'Redis timed out.';
  if (parameters.has('stored')) return 'Loaded from Redis and cached.';
  return status < 400 ? 'Loaded from Redis, not stored.' : 'Looked up in Redis.';
}

function parse(field: string): Map<string, string> {
  const [, ...parameters] = field.split(';');
  return new Map(
    parameters.map((parameter) => {
      const [name, value = ''] = parameter.trim().split('=');
      return [name, value];
    }),
  );
}

function seconds(count: number): string {
  return count === 1 ? '1 second' : `${count} seconds`;
}
