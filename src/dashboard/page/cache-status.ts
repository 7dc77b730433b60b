/** What `Cache-Status` (RFC 9211) says of an answer, in words; undefined when it says nothing that is known. */
export function cacheStatusInWords(field: string | null, status: number): string | undefined {
  const parameters = parse(field ?? '');
  const forward = parameters.get('fwd');
  const ttl = Number(parameters.get('ttl'));
  if (parameters.has('hit')) {
    if (ttl < 0) return `From the cache, though its time was over ${seconds(-ttl)} ago: Redis could not be asked.`;
    if (status === 404) return `The cache remembers that there is no such key, for another ${seconds(ttl)}.`;
    return `From the cache, which holds it for another ${seconds(ttl)}.`;
  }
  if (forward === undefined) return undefined;
  return `${WHY[forward] ?? 'The cache did not answer.'} ${whatCameOfIt(parameters, status)}`;
}

const WHY: Readonly<Record<string, string>> = {
  'uri-miss': 'The cache did not hold it.',
  stale: 'The cache held it, but its time was over.',
  request: 'It was to be read anew, whatever the cache held.',
};

function whatCameOfIt(parameters: ReadonlyMap<string, string>, status: number): string {
  if (parameters.has('collapsed')) return 'Somebody else was reading it from Redis already, and it came with that.';
  if (status === 503) return 'Redis could not be asked.';
  if (status === 504) return 'Redis did not answer in time.';
  if (parameters.has('stored')) return 'It was read from Redis, and the cache holds it now.';
  return status < 400 ? 'It was read from Redis, and not stored.' : 'Redis was asked.';
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
