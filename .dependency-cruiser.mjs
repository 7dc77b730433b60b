/**
 * Data flows one way (ARCHITECTURE.md): transports and ops may use the cache, the cache may use Redis' outcomes, nobody
 * is used from the left. @type {import('dependency-cruiser').IConfiguration}
 */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: ['\\.(?:spec|d)\\.ts$', '^src/main\\.ts$'] },
      to: {},
    },
    {
      name: 'only-redis-imports-ioredis',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/redis/' },
      to: { path: 'node_modules/ioredis' },
    },
    {
      name: 'config-reads-nobody',
      severity: 'error',
      from: { path: '^src/config/' },
      to: { path: '^src/', pathNot: '^src/config/' },
    },
    {
      name: 'redis-uses-config-only',
      severity: 'error',
      from: { path: '^src/redis/' },
      to: { path: '^src/', pathNot: '^src/(redis|internals|config)/' },
    },
    {
      name: 'cache-uses-redis-and-config-only',
      severity: 'error',
      from: { path: '^src/cache/' },
      to: { path: '^src/', pathNot: '^src/(cache|redis|internals|config)/' },
    },
    {
      name: 'coherence-uses-cache-redis-and-config-only',
      severity: 'error',
      from: { path: '^src/coherence/' },
      to: { path: '^src/', pathNot: '^src/(coherence|cache|redis|config)/' },
    },
    {
      name: 'only-runtime-uses-coherence',
      comment: 'The state is in shared memory; what brings it about is a matter of the main thread.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(coherence|runtime)/' },
      to: { path: '^src/coherence/' },
    },
    {
      name: 'access-uses-config-only',
      severity: 'error',
      from: { path: '^src/access/' },
      to: { path: '^src/', pathNot: '^src/(access|config)/' },
    },
    {
      name: 'commands-use-cache-access-and-config-only',
      severity: 'error',
      from: { path: '^src/commands/' },
      to: { path: '^src/', pathNot: '^src/(commands|cache|access|config)/' },
    },
    {
      name: 'sockets-use-net-and-config-only',
      severity: 'error',
      from: { path: '^src/sockets/' },
      to: { path: '^src/', pathNot: '^src/(sockets|net|config)/' },
    },
    {
      name: 'net-uses-internals-only',
      severity: 'error',
      from: { path: '^src/net/' },
      to: { path: '^src/', pathNot: '^src/(net|internals)/' },
    },
    {
      name: 'internals-use-nobody',
      severity: 'error',
      from: { path: '^src/internals/' },
      to: { path: '^src/', pathNot: '^src/internals/' },
    },
    {
      name: 'http-by-itself',
      comment: 'The other protocols are none of its business, nor are the ops: they render with it.',
      severity: 'error',
      from: { path: '^src/http/' },
      to: { path: '^src/', pathNot: '^src/(http|net|sockets|cache|access|config)/' },
    },
    {
      name: 'resp-by-itself',
      severity: 'error',
      from: { path: '^src/resp/' },
      to: { path: '^src/', pathNot: '^src/(resp|commands|net|sockets|cache|access|config)/' },
    },
    {
      name: 'upstash-uses-http-and-commands',
      comment: 'It is the commands of Redis, over HTTP.',
      severity: 'error',
      from: { path: '^src/upstash/' },
      to: { path: '^src/', pathNot: '^src/(upstash|http|commands|cache|access|config)/' },
    },
    {
      name: 'ops-use-http-to-answer-and-nobody-who-serves-keys',
      comment:
        'They are routes beside those of keys: they render answers and problems as http/ does, and use no other room.',
      severity: 'error',
      from: { path: '^src/(admin|docs|metrics|dashboard)/' },
      to: { path: '^src/', pathNot: '^src/($1|http|redis|cache|access|internals|config)/|^src/commands/' },
    },
    {
      name: 'of-the-ops-only-metrics-use-commands',
      comment: 'They export how often each was refused.',
      severity: 'error',
      from: { path: '^src/(admin|docs|dashboard)/' },
      to: { path: '^src/commands/' },
    },
    {
      name: 'health-checks-all-listeners',
      severity: 'error',
      from: { path: '^src/health/' },
      to: { path: '^src/', pathNot: '^src/(health|http|resp|net|redis|cache|config)/' },
    },
    {
      name: 'of-the-ops-only-health-uses-redis',
      comment: 'The others tell what cache/ publishes, of all threads.',
      severity: 'error',
      from: { path: '^src/(admin|docs|metrics|dashboard)/' },
      to: { path: '^src/redis/' },
    },
    {
      name: 'page-of-the-dashboard-by-itself',
      comment: 'It runs in the browser: what it shares with the proxy is the shape of a tick.',
      severity: 'error',
      from: { path: '^src/dashboard/page/' },
      to: { path: '^src/', pathNot: '^src/dashboard/(page/|tick\\.ts$)' },
    },
    {
      name: 'logic-without-nest',
      comment: 'Files with real logic need no container: only the files that wire may know Nest.',
      severity: 'error',
      from: { path: '^src/(access|cache|coherence|commands)/', pathNot: '\\.(module|service)\\.ts$' },
      to: { path: 'node_modules/@nestjs' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
