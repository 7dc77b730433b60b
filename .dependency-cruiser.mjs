/**
 * Imports go one way (ARCHITECTURE.md): transports and operations may import the cache, the cache may import redis/. @type {import('dependency-cruiser').IConfiguration}
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
      name: 'only-redis-and-tracking-import-ioredis',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(redis|tracking)/' },
      to: { path: 'node_modules/ioredis' },
    },
    {
      name: 'only-telemetry-imports-opentelemetry',
      comment: 'It is loaded only when traces are exported.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/telemetry/' },
      to: { path: 'node_modules/@opentelemetry' },
    },
    {
      name: 'workers-load-opentelemetry-on-demand',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/telemetry/otlp-tracer\\.ts$', dynamic: false },
    },
    mayImport('telemetry-imports-the-cache', 'telemetry/', [
      'telemetry/',
      'cache/',
      'instance/',
      'redis/query\\.ts$',
      'config/',
    ]),
    mayImport('config-imports-only-itself', 'config/', ['config/']),
    {
      name: 'workers-do-not-validate-settings',
      severity: 'error',
      from: { path: '^src/runtime/worker\\.ts$' },
      to: { path: 'node_modules/class-(?:validator|transformer)', reachable: true },
    },
    {
      name: 'workers-do-not-load-swagger',
      comment: 'The OpenAPI document is made at build time, by openapi/write-docs.ts.',
      severity: 'error',
      from: { path: '^src/runtime/worker\\.ts$' },
      to: { path: 'node_modules/@nestjs/swagger', reachable: true },
    },
    mayImport('internal-parts-import-nothing', 'internals/internal-part', ['internals/']),
    mayImport('internals-import-the-parts', 'internals/', ['internals/', 'net/', 'redis/', 'config/', 'instance/']),
    mayImport(
      'replies-import-nothing',
      'replies/',
      ['replies/'],
      'Every transport, the cache and redis/ may read replies of Redis.',
    ),
    mayImport('net-imports-internals', 'net/', ['net/', 'internals/', 'config/(?:settings|secret)\\.ts$']),
    mayImport('redis-imports-config-and-internals', 'redis/', ['redis/', 'replies/', 'internals/', 'config/']),
    mayImport('instance-imports-the-cache-core', 'instance/', [
      'instance/',
      'cache/shared-lru/',
      'redis/',
      'internals/',
      'config/',
    ]),
    mayImport(
      'cache-imports-instance-and-redis',
      'cache/',
      ['cache/', 'instance/', 'redis/', 'replies/', 'net/load-window\\.ts$', 'internals/', 'config/'],
      'Loads in flight are limited alike for connections (net/) and for requests for many keys (cache/).',
    ),
    mayImport('tracking-imports-cache-and-redis', 'tracking/', [
      'tracking/',
      'access/access\\.ts$',
      'access/key-selection\\.ts$',
      'cache/',
      'instance/',
      'redis/',
      'config/',
    ]),
    mayImport('tls-imports-instance-and-sockets', 'tls/', [
      'tls/',
      'cache/cache\\.module\\.ts$',
      'instance/',
      'net/',
      'config/',
    ]),
    mayImport('access-imports-config', 'access/', ['access/', 'config/']),
    mayImport('redis-commands-import-cache-and-access', 'redis-commands/', [
      'redis-commands/',
      'cache/',
      'instance/',
      'redis/',
      'replies/',
      'access/',
      'config/',
    ]),
    {
      name: 'http-imports-no-other-transport',
      severity: 'error',
      from: { path: '^src/http/', pathNot: '\\.spec-support\\.ts$' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(http/|openapi/(?:operation-parts|describe-controller)\\.ts$|net/|tls/|cache/|instance/|redis/(?:redis-reply|query)\\.ts$|replies/|access/|config/)',
      },
    },
    mayImport('resp-imports-no-other-transport', 'resp/', [
      'resp/',
      'redis-commands/',
      'replies/',
      'net/',
      'tls/',
      'cache/',
      'instance/',
      'redis/query\\.ts$',
      'access/',
      'config/',
    ]),
    {
      name: 'upstash-is-redis-commands-over-http',
      comment: 'Upstash sends the commands of Redis over HTTP.',
      severity: 'error',
      from: { path: '^src/upstash/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(upstash/|http/|openapi/(?:operation-parts|describe-controller)\\.ts$|redis-commands/|replies/|cache/|instance/|redis/query\\.ts$|access/|config/)',
      },
    },
    {
      name: 'operations-import-http-to-respond',
      comment: 'They are routes beside those of keys: they render responses and problems as http/ does.',
      severity: 'error',
      from: {
        path: '^src/(admin|metrics|dashboard|openapi)/',
        pathNot: '^src/openapi/(?:openapi-document|write-docs)\\.ts$',
      },
      to: {
        path: '^src/',
        pathNot:
          '^src/($1/|http/|openapi/(?:operation-parts|describe-controller)\\.ts$|redis-commands/|tls/|cache/|instance/|redis/|access/|internals/|config/)',
      },
    },
    {
      name: 'health-imports-all-listeners',
      severity: 'error',
      from: { path: '^src/health/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(health/|http/|openapi/(?:operation-parts|describe-controller)\\.ts$|resp/|net/|redis/|cache/|instance/|config/)',
      },
    },
    mayImport(
      'warmup-imports-what-makes-queries',
      'warmup/',
      [
        'warmup/',
        'cache/',
        'instance/',
        'net/load-window\\.ts$',
        'redis/',
        'redis-commands/',
        'http/resources/resource\\.ts$',
        'access/',
        'config/',
      ],
      'It makes queries again of what identifies entries.',
    ),
    {
      name: 'core-of-the-cache-imports-only-itself',
      comment:
        'The data structure needs nothing but the type of a reply of Redis; worker threads of tests and benchmarks run it as it is.',
      severity: 'error',
      from: { path: '^src/cache/shared-lru/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(cache/shared-lru/|redis/redis-reply\\.ts$)' },
    },
    {
      name: 'only-the-main-thread-imports-tracking',
      comment: 'Worker threads read the coherence state from shared memory.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(tracking|runtime)/' },
      to: { path: '^src/tracking/' },
    },
    {
      name: 'page-of-the-dashboard-by-itself',
      comment: 'It runs in the browser: it shares with the proxy the shape of a snapshot.',
      severity: 'error',
      from: { path: '^src/dashboard/page/' },
      to: { path: '^src/', pathNot: '^src/dashboard/(page/|dashboard-snapshot\\.ts$)' },
    },
    {
      name: 'logic-without-nest',
      comment: 'Files with logic need no container: only modules and services import more of Nest than types.',
      severity: 'error',
      from: {
        path: '^src/(access|cache|instance|tracking|redis-commands)/',
        pathNot: '\\.(module|service)(\\.spec)?\\.ts$',
      },
      to: { path: 'node_modules/@nestjs', dependencyTypesNot: ['type-only'] },
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

/**
 * Returns the rule that files below `from` import nothing but the given folders and files of src, and packages. All are
 * patterns below src.
 */
function mayImport(name, from, allowed, comment) {
  return {
    name,
    ...(comment === undefined ? {} : { comment }),
    severity: 'error',
    from: { path: `^src/${from}` },
    to: { path: '^src/', pathNot: `^src/(${allowed.join('|')})` },
  };
}
