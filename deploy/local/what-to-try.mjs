/**
 * Returns sample commands for another terminal, each with a comment.
 * @param {{ base: string, ops: string, demo?: { etag?: string, cli?: string }, hasAccessToken: boolean, hasAdminToken: boolean,
 *   httpClientCertificates: boolean }} state `ops`: URL of the admin API; `demo` if the demo keys exist: an ETag of `user:42`, and a
 *   redis-cli command line if redis-cli is installed
 */
export function whatToTry({ base, ops, demo, hasAccessToken, hasAdminToken, httpClientCertificates }) {
  const reads = demo ? demoSteps(`${base}/v1`, demo) : ownKeySteps(`${base}/v1/keys`);
  const token = hasAccessToken ? 'curl -H "Authorization: Bearer $ACCESS_TOKEN" ' : 'curl ';
  const steps = reads.map(([about, command]) => [about, command.replace('curl ', token)]);
  if (hasAdminToken) {
    steps.push(['the counters of the cache', `curl -s -H "Authorization: Bearer $ADMIN_TOKEN" ${ops}/v1/cache`]);
  }
  // The certificate may be from an authority of the user's own.
  const options = httpClientCertificates ? '-k --cert client.crt --key client.key' : '-k';
  const withOptions = (command) =>
    command.includes('https:') ? command.replace('curl ', `curl ${options} `) : command;
  return steps.map(([about, command]) => `  # ${about}\n  ${withOptions(command)}\n`).join('');
}

function demoSteps(types, { etag, cli }) {
  const keys = `${types}/keys`;
  return [
    [
      'a value; repeat it: Cache-Status shows that the second response comes from the cache',
      `curl -i ${keys}/greeting`,
    ],
    ['a JSON document', `curl -i ${keys}/user:42`],
    ...(etag ? [['the same, if it has changed: 304', `curl -i -H 'If-None-Match: ${etag}' ${keys}/user:42`]] : []),
    ['an empty string is a value: 200, zero bytes', `curl -i ${keys}/empty`],
    ['all 256 byte values come back exactly', `curl -s ${keys}/binary | od -An -tx1`],
    ['the key café/menu, percent-encoded', `curl -i ${keys}/caf%C3%A9%2Fmenu`],
    ['a hash as JSON, and one of its fields', `curl -s ${types}/hashes/product:7 ${types}/hashes/product:7/name`],
    ['a sorted set with scores, best first', `curl -s '${types}/sorted-sets/leaderboard?order=desc&withScores=true'`],
    ['a list is not a string: 409, with the URL that reads it', `curl -i ${keys}/queue`],
    ['a key that does not exist: 404', `curl -i ${keys}/nobody`],
    cli
      ? [
          'an entry never outlives its key: with 20 s left in Redis, max-age is 20 at most, and 404 follows',
          `${cli} expire short-lived 20 && curl -i ${keys}/short-lived`,
        ]
      : ['a key that expires within the hour', `curl -i ${keys}/short-lived`],
  ];
}

function ownKeySteps(keys) {
  return [
    ['a key of your Redis in place of my-key; repeat it and watch Cache-Status', `curl -i ${keys}/my-key`],
    ['any byte of a key may be percent-encoded: this is a/b', `curl -i ${keys}/a%2Fb`],
  ];
}
