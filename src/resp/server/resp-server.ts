import { once } from 'node:events';
import { type Server, Socket, createServer } from 'node:net';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Access, OPEN_ACCESS } from '../../access/access.ts';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { ConnectionLimiter } from '../../instance/connection-limiter.ts';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { InstanceStats } from '../../instance/instance-stats.ts';
import { PendingReads } from '../../instance/pending-reads.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { KeyReads } from '../../redis-commands/key-reads.ts';
import { RefusedCommands } from '../../redis-commands/refused-commands.ts';
import type { SelfCheckCache } from '../../cache/self-check-cache.ts';
import type { ConfigType } from '@nestjs/config';
import { cacheConfig, httpConfig, proxyConfig, redisConfig, respConfig } from '../../config/namespaces.ts';
import type { Settings } from '../../config/settings.ts';
import type { Mutex } from '../../net/mutex.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { CLOSE_GRACE_MS, LINGER_MS, idleTimeoutMs } from '../../net/time-limits.ts';
import type { TlsAcceptor } from '../../tls/tls-acceptor.ts';
import { TlsListeners } from '../../tls/tls-listeners.ts';
import { type Client, describeRespRequest } from './client.ts';
import { ClientCommands } from '../commands/connection/client-commands.ts';
import { CommandTable } from '../commands/command-table.ts';
import { Dispatcher } from '../commands/dispatcher.ts';
import { TrackingClients } from './tracking-clients.ts';
import { RespConnection } from './resp-connection.ts';
import { ConnectionCommands } from '../commands/connection/connection-commands.ts';
import type { ConnectionContext } from './connection-context.ts';
import { GetRequest } from '../protocol/get-request.ts';
import { QueryRequest } from '../protocol/query-request.ts';
import { IntrospectionCommands } from '../commands/server/introspection-commands.ts';
import { KeyCommandHandlers } from '../commands/key-command-handlers.ts';
import { ReplyWriter } from '../protocol/reply-writer.ts';
import { ServerCommands } from '../commands/server/server-commands.ts';
import { ServerInfo } from '../commands/server/server-info.ts';
import { TrackingCommands } from '../commands/connection/tracking-commands.ts';
import { TransactionCommands } from '../commands/transaction-commands.ts';

/** Milliseconds between two checks for idle connections, at most. */
const MAX_SWEEP_INTERVAL_MS = 1000;
/** Milliseconds without traffic after which the kernel sends TCP keep-alive probes; the default of Redis. */
const KEEPALIVE_DELAY_MS = 300_000;

/** Where and how {@link RespServer} listens. */
export interface RespListening {
  readonly port: number;
  readonly host: string;
  readonly backlog: number;
  /** Whether other threads listen on the same port. */
  readonly reusePort: boolean;
  /** Serialises requests (PROXY_MODE=sequential); undefined: requests do not wait for each other. */
  readonly mutex: Mutex | undefined;
}

/** Parts of a {@link ConnectionContext} that the self-check replaces. */
interface ContextParts {
  readonly cache: CacheService;
  readonly counts: ReadMetrics;
  readonly access: Access;
  readonly buffered: BufferedBytes;
}

/** Redis-protocol listener of a worker thread, with its connections. */
@Injectable()
export class RespServer {
  readonly #logger = new Logger('RespServer');
  readonly #cache: CacheService;
  readonly #counts: ReadMetrics;
  readonly #connectionCount: ConnectionLimiter;
  readonly #access: Access;
  readonly #memory: BufferedBytes;
  readonly #instance: InstanceStats;
  readonly #refused: RefusedCommands;
  readonly #trackingClients: TrackingClients;
  readonly #tls: TlsAcceptor | undefined;
  readonly #settings: Pick<Settings, 'http' | 'resp' | 'redis' | 'cache' | 'proxy'>;
  readonly #connections = new Set<RespConnection>();
  /** Number of open connections, with those whose TLS handshake has not ended. */
  #open = 0;
  readonly #readBuffer = new SharedReadBuffer();
  /** Port that this thread listens on; 0 before {@link listen}. */
  #port = 0;
  #server: Server | undefined;
  #closed: Promise<unknown> = Promise.resolve();
  #onAllClosed: () => void = () => undefined;

  constructor(
    cache: CacheService,
    counts: ReadMetrics,
    connectionCount: ConnectionLimiter,
    access: Access,
    instance: InstanceStats,
    buffered: BufferedBytes,
    refused: RefusedCommands,
    trackingClients: TrackingClients,
    tls: TlsListeners,
    @Inject(httpConfig.KEY) http: ConfigType<typeof httpConfig>,
    @Inject(respConfig.KEY) resp: ConfigType<typeof respConfig>,
    @Inject(redisConfig.KEY) redis: ConfigType<typeof redisConfig>,
    @Inject(cacheConfig.KEY) cacheSettings: ConfigType<typeof cacheConfig>,
    @Inject(proxyConfig.KEY) proxy: ConfigType<typeof proxyConfig>,
  ) {
    this.#cache = cache;
    this.#counts = counts;
    this.#connectionCount = connectionCount;
    this.#access = access;
    this.#memory = buffered;
    this.#instance = instance;
    this.#refused = refused;
    this.#trackingClients = trackingClients;
    this.#tls = tls.acceptor('resp');
    this.#tls?.replyToPlainText(() => '-ERR This port requires TLS\r\n');
    this.#settings = { http, resp, redis, cache: cacheSettings, proxy };
  }

  async listen({ port, host, backlog, reusePort, mutex }: RespListening): Promise<void> {
    this.#port = port;
    const parts = { cache: this.#cache, counts: this.#counts, access: this.#access, buffered: this.#memory };
    const context = this.#createContext(parts, mutex);
    const options = {
      ...{ noDelay: true, pauseOnConnect: true, allowHalfOpen: true },
      // Detects clients whose host has failed without closing the connection.
      ...{ keepAlive: true, keepAliveInitialDelay: KEEPALIVE_DELAY_MS },
    };
    const server = createServer(options, (socket) => this.#accept(socket, context));
    this.#server = server;
    server.listen({ port, host, backlog, reusePort });
    await once(server, 'listening');
    const timeouts = [context.idleTimeoutMs || Infinity, context.authenticationTimeoutMs];
    setInterval(() => this.#closeIdle(), Math.min(MAX_SWEEP_INTERVAL_MS, ...timeouts)).unref();
  }

  /** Stops accepting connections; open connections stay open. */
  stopListening(): void {
    const server = this.#server;
    if (server?.listening) this.#closed = new Promise((done) => server.close(done));
  }

  /** Closes the connections that were authenticated with a revoked token. */
  closeRevoked(): void {
    for (const connection of this.#connections) connection.closeIfRevoked();
  }

  /** Replies to the requests received so far, then closes the connections; resolves once all are closed. */
  async drain(): Promise<void> {
    if (this.#server === undefined) return;
    const allClosed = new Promise<void>((resolve) => (this.#onAllClosed = resolve));
    const linger = setTimeout(() => {
      this.#tls?.destroyHandshakes();
      for (const connection of this.#connections) connection.finish();
    }, LINGER_MS);
    if (this.#open > 0) await allClosed;
    clearTimeout(linger);
    await this.#closed;
  }

  #closeIdle(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.closeIfIdle(now);
  }

  /**
   * Returns a function that serves a self-check connection like a client's, from the given cache and without the mutex;
   * undefined if the Redis protocol is disabled.
   */
  forSelfCheck({ cache, counts, buffered }: SelfCheckCache): ((socket: Socket) => void) | undefined {
    if (this.#settings.resp.port === undefined) return undefined;
    const context = this.#createContext({ cache, counts, access: OPEN_ACCESS, buffered }, undefined);
    return (socket) => void this.#connect(socket, context);
  }

  #createContext({ cache, counts, access, buffered }: ContextParts, mutex: Mutex | undefined): ConnectionContext {
    const hit = new HitBuffer();
    const pending = new PendingReads('resp', counts);
    return {
      commands: this.#createDispatcher(cache, access, hit, pending),
      cache,
      access,
      memory: buffered,
      pending,
      reads: this.#readBuffer,
      output: new ReplyWriter(),
      trackingClients: this.#trackingClients,
      get: new GetRequest(),
      query: new QueryRequest(),
      hit,
      mutex,
      requestTimeoutMs: this.#settings.http.requestTimeoutMs,
      idleTimeoutMs: this.#settings.resp.idleTimeoutMs,
      authenticationTimeoutMs: this.#settings.http.headersTimeoutMs,
      stallTimeoutMs: idleTimeoutMs(this.#settings),
      report: (bug) => this.#logger.error(bug),
    };
  }

  #createDispatcher(cache: CacheService, access: Access, hit: HitBuffer, pending: PendingReads): Dispatcher {
    const reads = new KeyReads('resp', access, pending);
    const keys = new KeyCommandHandlers(cache, reads, hit);
    const table = new CommandTable();
    const transactions = new TransactionCommands((client) => keys.plan(client), table);
    const { database } = this.#settings.redis;
    const connection = new ConnectionCommands(access, database, transactions, this.#refused, this.#trackingClients);
    const client = new ClientCommands(database, new TrackingCommands(this.#trackingClients, this.#refused));
    const info = new ServerInfo(this.#cache, this.#instance, this.#counts, this.#settings, this.#port);
    const server = new ServerCommands(info);
    const introspection = new IntrospectionCommands(table);
    for (const group of [keys, transactions, connection, client, introspection, server]) table.add(group.commands());
    return new Dispatcher({
      table,
      counter: pending,
      counts: this.#counts,
      reads,
      refused: this.#refused,
      transactions,
    });
  }

  #accept(socket: Socket, context: ConnectionContext): void {
    const tls = this.#tls;
    if (!this.#connectionCount.open()) {
      // Without a handshake there is no way to send a reply.
      if (tls === undefined) rejectConnection(socket);
      else socket.destroy();
      return;
    }
    this.#open++;
    socket.once('close', () => {
      this.#connectionCount.close();
      if (--this.#open === 0) this.#onAllClosed();
    });
    const connectedAt = performance.now();
    if (tls === undefined) this.#serve(socket, context, connectedAt);
    else tls.accept(socket, (secure) => this.#serve(secure, context, connectedAt));
  }

  #serve(socket: Socket, context: ConnectionContext, connectedAt: number): void {
    const connection = this.#connect(socket, context, connectedAt);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  #connect(socket: Socket, context: ConnectionContext, connectedAt?: number): RespConnection {
    return new RespConnection(socket, this.#createClient(socket, context.access), context, connectedAt);
  }

  #createClient(socket: Socket, access: Access): Client {
    return {
      id: this.#connectionCount.nextId(),
      address: endpoint(socket.remoteAddress, socket.remotePort),
      localAddress: endpoint(socket.localAddress, socket.localPort),
      connectedAt: Date.now(),
      protocol: 2,
      authenticated: !access.tokenRequired,
      credential: undefined,
      name: '',
      libraryName: '',
      libraryVersion: '',
      transaction: undefined,
      tracking: undefined,
      invalidate: () => undefined,
      noteStale: () => undefined,
      quitting: false,
      hasQueuedReplies: false,
      disconnected: false,
      get mayBeClosed() {
        return socket.destroyed || socket.readableEnded;
      },
      dropWaitingReplies: () => undefined,
      describeRequest: describeRespRequest,
    };
  }
}

function rejectConnection(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
  socket.once('close', () => clearTimeout(timer)).on('error', () => socket.destroy());
  socket.resume();
  socket.end('-ERR max number of clients reached\r\n', () => socket.destroySoon());
}

/** Formats an address as Redis does: IPv6 in brackets, but an IPv4 client of an IPv6 listener as IPv4. */
function endpoint(address = '', port = 0): string {
  const ip = address.replace(/^::ffff:(?=[\d.]+$)/, '');
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
}
