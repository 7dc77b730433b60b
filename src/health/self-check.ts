import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { SELF_CHECK_PARTS, type SelfCheckPart } from '../instance/instance-memory.ts';
import { SELF_CHECK_KEY, SELF_CHECK_VALUE, createSelfCheckCache } from '../cache/self-check-cache.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import type { ConfigType } from '@nestjs/config';
import { proxyConfig } from '../config/namespaces.ts';
import { HttpConnections } from '../http/server/connections/http-connections.ts';
import { RespServer } from '../resp/server/resp-server.ts';
import { type ExchangeResult, exchangeTwice } from './exchange.ts';

/** Milliseconds between checks, and after a failed check. */
const INTERVAL_MS = 10_000;
const RETRY_MS = 1000;

const HTTP_REQUEST = `GET /v1/keys/${SELF_CHECK_KEY} HTTP/1.1\r\nHost: self-check\r\n\r\n`;
const HTTP_ENDING = `\r\n\r\n${SELF_CHECK_VALUE}`;
const RESP_REQUEST = `*2\r\n$3\r\nGET\r\n$${SELF_CHECK_KEY.length}\r\n${SELF_CHECK_KEY}\r\n`;
const RESP_ENDING = `$${SELF_CHECK_VALUE.length}\r\n${SELF_CHECK_VALUE}\r\n`;

const NAMES = { 'fast-path': 'the fast path', 'redis-protocol': 'the Redis protocol' } as const;

/** `off`: the part is disabled by the settings. */
type PartState = ExchangeResult | 'off';
export type SelfCheckResult = Readonly<Record<SelfCheckPart, PartState>>;

/**
 * Reads a key through the fast path and through the Redis protocol of this thread, a miss and a hit over one loopback
 * connection each, and publishes failures in the memory shared by all threads. Runs periodically and on demand.
 */
@Injectable()
export class SelfCheck implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(SelfCheck.name);
  readonly #thread: ThreadContext;
  readonly #http: HttpConnections;
  readonly #resp: RespServer;
  readonly #proxy: ConfigType<typeof proxyConfig>;
  #running: Promise<SelfCheckResult> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #check: (() => Promise<SelfCheckResult>) | undefined;
  readonly #failing = new Set<SelfCheckPart>();

  constructor(
    thread: ThreadContext,
    http: HttpConnections,
    resp: RespServer,
    @Inject(proxyConfig.KEY) proxy: ConfigType<typeof proxyConfig>,
  ) {
    this.#thread = thread;
    this.#http = http;
    this.#resp = resp;
    this.#proxy = proxy;
  }

  /** Starts the first check, without waiting for its result. */
  onApplicationBootstrap(): void {
    void this.#runPeriodically();
  }

  /** Runs the check; concurrent callers share one run. */
  run(): Promise<SelfCheckResult> {
    this.#check ??= this.#prepare();
    this.#running ??= this.#check()
      .then((result) => this.#publish(result))
      .finally(() => (this.#running = undefined));
    return this.#running;
  }

  onApplicationShutdown(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  async #runPeriodically(): Promise<void> {
    await this.run();
    if (this.#ended) return;
    this.#timer = setTimeout(
      () => void this.#runPeriodically(),
      this.#failing.size > 0 ? RETRY_MS : INTERVAL_MS,
    ).unref();
  }

  #prepare(): () => Promise<SelfCheckResult> {
    const parts = createSelfCheckCache({ proxy: this.#proxy }, this.#thread.clock);
    const fastPath = this.#http.forSelfCheck(parts);
    const redisProtocol = this.#resp.forSelfCheck(parts);
    return async () => {
      const results: Record<SelfCheckPart, PartState> = { 'fast-path': 'off', 'redis-protocol': 'off' };
      // Sequentially, because both parts share the cache, which is flushed so that the first read is a miss.
      if (fastPath !== undefined) {
        parts.cache.flush();
        results['fast-path'] = await exchangeTwice(fastPath, HTTP_REQUEST, HTTP_ENDING);
      }
      if (redisProtocol !== undefined) {
        parts.cache.flush();
        results['redis-protocol'] = await exchangeTwice(redisProtocol, RESP_REQUEST, RESP_ENDING);
      }
      return results;
    };
  }

  #publish(result: SelfCheckResult): SelfCheckResult {
    const { instance, threadIndex } = this.#thread;
    for (const part of SELF_CHECK_PARTS) {
      const state = result[part];
      const failure = typeof state === 'object' ? state.failure : undefined;
      instance.noteSelfCheck(threadIndex, part, failure === undefined);
      if ((failure !== undefined) === this.#failing.has(part)) continue;
      if (failure === undefined) {
        this.#failing.delete(part);
        this.#logger.log(`self-check passed again: ${NAMES[part]}`);
      } else {
        this.#failing.add(part);
        this.#logger.error(`self-check failed: ${NAMES[part]} does not serve reads (${failure})`);
      }
    }
    return result;
  }
}
