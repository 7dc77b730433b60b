import { readFileSync } from 'node:fs';
import { type EnvFile, type EnvFileVariable, readEnvFile } from './environment/env-file.ts';
import { type Environment, describeSettings, validateEnvironment } from './environment/environment.ts';
import { formerNameWarnings, namesAsGiven, withPresentNames } from './environment/former-names.ts';
import { type KeyRule, parseKeyRules } from './key-pattern-syntax.ts';
import { fitToMemory, fittedNotice, memoryLimit, memoryWarning } from './memory-budget.ts';
import { expiryWarning, listenerTls } from './pem-files.ts';
import { redisSettings } from './redis/redis-settings.ts';
import type { SettingDescription } from './environment/setting.decorators.ts';
import type { ContentCoding, ListenerTls, Settings } from './settings.ts';
import { secretIn, tokensIn } from './secret.ts';
import { isServiceLink, resemblesSetting, unknownNames, unknownNamesInFile } from './environment/unknown-names.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** A line for the log about the settings, with its level as NestJS names it. */
export interface Notice {
  readonly level: 'log' | 'warn';
  readonly text: string;
}

/** The settings are invalid; `problems` has one line for each error. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads and validates the settings from the command line, the environment and a `.env` file, in this order of precedence.
 * An empty value counts as unset, unless the setting gives it a meaning.
 *
 * @param flags the settings on the command line, under their names in the environment.
 * @param notify called with each line for the log, unless this function throws.
 * @param memory the memory limit of the process in bytes.
 * @throws SettingsError
 */
export function loadSettings(
  environment: Variables,
  dotEnvFile = '.env',
  flags: Variables = {},
  notify: (notice: Notice) => void = () => undefined,
  memory = memoryLimit(),
): Settings {
  const file = readEnvFile(dotEnvFile);
  const unknown = unknownNames(environment);
  const problems = [...syntaxProblems(file), ...unknownNamesInFile(file.variables, dotEnvFile), ...unknown.problems];
  const notices = unknown.warnings.map(warning);
  const sources = [
    flags,
    withoutEmpty(withoutLinks(environment, notices)),
    fromFile(file.variables, dotEnvFile, problems),
  ] as const;
  notices.push(...formerNameWarnings(sources).map(warning));
  const [fromFlags, fromEnvironment, fromDotEnv] = sources.map(withPresentNames);
  const variables = overrule({ ...fromDotEnv, ...fromEnvironment }, fromFlags);
  const given: Record<string, string> = {};
  for (const setting of describeSettings()) {
    const value = valueOf(setting, variables, problems) ?? setting.default;
    if (value !== '') given[setting.name] = value;
  }
  const names = namesAsGiven(sources);
  const secrets = new Set(describeSettings().flatMap(({ name, secret }) => (secret ? [name] : [])));
  const values = validateEnvironment(given, (name, accepted) => {
    const shown = secrets.has(name) ? '(not shown)' : JSON.stringify(given[name]);
    problems.push(`${names[name]}: invalid value ${shown}: expected ${accepted}`);
  });
  problems.push(...missingRequirements(values));
  const redis = redisSettings(values, variables, problems);
  const [httpTls, respTls] = (['HTTP', 'RESP'] as const).map((listener) =>
    listenerTls(listener, values, (name, problem) => problems.push(`${name}: ${problem}`)),
  );
  if (problems.length > 0 || redis === undefined) throw new SettingsError(problems);
  const fitted = fitToMemory(values, (name) => variables[name] !== undefined, memory);
  const settings = settingsFrom(Object.assign(values, fitted), { redis, httpTls, respTls }, variables);
  const notice = fittedNotice(fitted, memory);
  if (notice !== undefined) notices.push({ level: 'log', text: notice });
  notices.push(...warningsAbout(settings, memory).map(warning));
  for (const each of notices) notify(each);
  return settings;
}

/** Returns a problem for each setting that has no effect, or must not be used, without another one. */
function missingRequirements(values: Environment): string[] {
  const problems: string[] = [];
  if (values.UPSTASH_REST_API === 'on' && values.ACCESS_TOKEN === undefined) {
    problems.push('UPSTASH_REST_API: "on" requires ACCESS_TOKEN');
  }
  if (values.OPS_HOST !== undefined && values.OPS_PORT === undefined) {
    problems.push('OPS_HOST: requires OPS_PORT');
  }
  if (values.CACHE_WARMUP_WAIT_MS > 0 && values.CACHE_WARMUP_FILE === undefined) {
    problems.push('CACHE_WARMUP_WAIT_MS: requires CACHE_WARMUP_FILE');
  }
  return problems;
}

/** Returns a warning for each valid setting that is probably not meant. @param memory the memory limit of the process in bytes. */
function warningsAbout(settings: Settings, memory: number): string[] {
  const { redis, http, resp } = settings;
  return [
    redis.tlsRejectUnauthorized
      ? undefined
      : 'REDIS_TLS_REJECT_UNAUTHORIZED: false, the certificate of Redis is not verified',
    memoryWarning(settings, memory),
    expiryWarning('HTTP', http.tls),
    expiryWarning('RESP', resp.tls),
  ].filter((text) => text !== undefined);
}

/** Returns the syntax errors of a `.env` file that may concern a setting; other programs may use the same file. */
function syntaxProblems({ problems }: EnvFile): string[] {
  return problems.flatMap(({ names, text }) => (names.length === 0 || names.some(resemblesSetting) ? [text] : []));
}

/** Returns the variables of a `.env` file. Two values for one setting are an error: the last one would silently win. */
function fromFile(variables: readonly EnvFileVariable[], file: string, problems: string[]): Variables {
  const first = new Map<string, EnvFileVariable>();
  for (const variable of variables) {
    const { name, value, line } = variable;
    const before = first.get(name);
    if (before === undefined) first.set(name, variable);
    else if (before.value !== value && resemblesSetting(name)) {
      problems.push(`${file}, line ${line}: ${name}: already set to another value on line ${before.line}`);
    }
  }
  return withoutEmpty(Object.fromEntries(variables.map(({ name, value }) => [name, value])));
}

/** Returns the environment without Kubernetes service links that have the name of a setting, and warns about those. */
function withoutLinks(environment: Variables, notices: Notice[]): Variables {
  const links = describeSettings().flatMap(({ name }) =>
    name.endsWith('_PORT') && isServiceLink(environment[name]) ? [name] : [],
  );
  for (const name of links) {
    notices.push(
      warning(
        `${name}: ${environment[name]} is a Kubernetes service link, ignored (enableServiceLinks: false omits it)`,
      ),
    );
  }
  return { ...environment, ...Object.fromEntries(links.map((name) => [name, undefined])) };
}

/** Returns the variables overridden by flags. A flag for either form of a secret overrides both of its variables. */
function overrule(variables: Variables, flags: Variables): Variables {
  const replaced = describeSettings()
    .filter(({ secret }) => secret)
    .map(({ name }) => [name, `${name}_FILE`])
    .filter((forms) => forms.some((form) => form in flags))
    .flat();
  return { ...Object.fromEntries(Object.entries(variables).filter(([name]) => !replaced.includes(name))), ...flags };
}

function withoutEmpty(variables: Variables): Variables {
  const meant = new Set(describeSettings().flatMap(({ name, mayBeEmpty }) => (mayBeEmpty ? [name] : [])));
  return Object.fromEntries(
    Object.entries(variables).filter(([name, value]) => value !== undefined && (value !== '' || meant.has(name))),
  );
}

/** Returns the value of a setting, read from a file if it was given in its `_FILE` form. */
function valueOf(setting: SettingDescription, variables: Variables, problems: string[]): string | undefined {
  const value = variables[setting.name];
  const fileName = `${setting.name}_FILE`;
  const file = setting.secret ? variables[fileName] : undefined;
  if (file === undefined) return value;
  if (value !== undefined) {
    problems.push(`${fileName}: set together with ${setting.name}; expected only one of them`);
    return undefined;
  }
  try {
    const text = secretIn(readFileSync(file, 'utf8'));
    // An empty secret would count as unset and turn authentication off.
    if (text === '') problems.push(`${fileName}: file is empty; expected a file that contains the secret`);
    return text;
  } catch (error) {
    problems.push(`${fileName}: cannot be read (${errorCode(error)}); expected the path of a readable file`);
    return undefined;
  }
}

/** Settings that are composed of several variables, or read from files. */
interface ComposedSettings {
  readonly redis: Settings['redis'];
  readonly httpTls: ListenerTls | undefined;
  readonly respTls: ListenerTls | undefined;
}

function settingsFrom(
  values: Environment,
  { redis, httpTls, respTls }: ComposedSettings,
  variables: Variables,
): Settings {
  return deepFreeze({
    http: httpSettings(values, httpTls),
    resp: { port: values.RESP_PORT, idleTimeoutMs: values.RESP_IDLE_TIMEOUT_MS, tls: respTls },
    ops: { port: values.OPS_PORT, host: values.OPS_HOST ?? values.HTTP_HOST },
    upstash: { on: (values.UPSTASH_REST_API ?? 'on') === 'on' && values.ACCESS_TOKEN !== undefined },
    // A value larger than the buffer budget could never be loaded.
    redis: { ...redis, maxValueBytes: Math.min(redis.maxValueBytes, values.PROXY_MAX_BUFFERED_BYTES) },
    cache: cacheSettings(values),
    proxy: {
      mode: values.PROXY_MODE,
      threads: values.PROXY_MODE === 'sequential' ? 1 : values.PROXY_THREADS,
      maxConnections: values.PROXY_MAX_CONNECTIONS,
      backlog: values.PROXY_BACKLOG,
      maxConcurrentLoads: values.PROXY_MAX_CONCURRENT_LOADS,
      maxQueuedLoads: values.PROXY_MAX_QUEUED_LOADS,
      queueTimeoutMs: values.REDIS_COMMAND_TIMEOUT_MS,
      maxBufferedBytes: values.PROXY_MAX_BUFFERED_BYTES,
    },
    access: {
      tokens: tokensIn(values.ACCESS_TOKEN),
      tokenFile: variables.ACCESS_TOKEN_FILE,
      keyPatterns: values.KEY_ALLOWLIST,
    },
    admin: { tokens: tokensIn(values.ADMIN_TOKEN), tokenFile: variables.ADMIN_TOKEN_FILE },
    nodeInternals: values.NODE_INTERNALS,
    shutdownGraceMs: values.SHUTDOWN_GRACE_MS,
    log: { level: values.LOG_LEVEL, format: values.LOG_FORMAT },
  });
}

function httpSettings(values: Environment, tls: ListenerTls | undefined): Settings['http'] {
  return {
    host: values.HTTP_HOST,
    port: values.HTTP_PORT,
    contentType: values.HTTP_CONTENT_TYPE,
    contentTypes: keyRules(values.HTTP_CONTENT_TYPES),
    contentEncodings: keyRules(values.HTTP_CONTENT_ENCODINGS),
    compression: values.HTTP_COMPRESSION === 'off' ? [] : (values.HTTP_COMPRESSION.split(',') as ContentCoding[]),
    compressionMinBytes: values.HTTP_COMPRESSION_MIN_BYTES,
    corsOrigins: values.HTTP_CORS_ORIGINS?.split(',') ?? [],
    maxHeaderBytes: values.HTTP_MAX_HEADER_BYTES,
    headersTimeoutMs: values.HTTP_HEADERS_TIMEOUT_MS,
    requestTimeoutMs: values.HTTP_REQUEST_TIMEOUT_MS,
    keepAliveTimeoutMs: values.HTTP_KEEP_ALIVE_TIMEOUT_MS,
    requestCacheControl: values.HTTP_REQUEST_CACHE_CONTROL,
    fastPath: values.HTTP_FAST_PATH,
    tls,
  };
}

function cacheSettings(values: Environment): Settings['cache'] {
  return {
    capacity: values.CACHE_CAPACITY,
    maxBytes: values.CACHE_MAX_BYTES,
    maxValueBytes: values.CACHE_MAX_VALUE_BYTES,
    ttlMs: values.CACHE_TTL_MS,
    ttlJitter: values.CACHE_TTL_JITTER,
    negativeTtlMs: values.CACHE_NEGATIVE_TTL_MS,
    staleIfErrorMs: values.CACHE_STALE_IF_ERROR_MS,
    staleWhileRevalidateMs: values.CACHE_STALE_WHILE_REVALIDATE_MS,
    refreshAhead: values.CACHE_REFRESH_AHEAD,
    respectKeyTtl: values.CACHE_RESPECT_KEY_TTL,
    coherence: values.CACHE_COHERENCE,
    purgeChannel: values.CACHE_PURGE_CHANNEL,
    warmupFile: values.CACHE_WARMUP_FILE,
    warmupWaitMs: values.CACHE_WARMUP_WAIT_MS,
    hotKeys: values.CACHE_HOT_KEYS,
  };
}

/** Returns the rules of a setting that has been validated. */
function keyRules(text = ''): readonly KeyRule[] {
  return parseKeyRules(text, () => true) ?? [];
}

function warning(text: string): Notice {
  return { level: 'warn', text };
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object);
  return Object.freeze(value);
}

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown reason';
}
