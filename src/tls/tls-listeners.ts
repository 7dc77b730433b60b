import { X509Certificate } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { httpConfig, respConfig } from '../config/namespaces.ts';
import type { ListenerTls, Settings } from '../config/settings.ts';
import { TLS_LISTENERS, type TlsListener } from '../instance/instance-memory.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { HandshakeCounts } from './handshake-counts.ts';
import { TlsAcceptor } from './tls-acceptor.ts';

/**
 * Application protocols by listener (ALPN). Clients that negotiate none are served as well; the Redis protocol has none.
 * HTTP/2 is not offered.
 */
const PROTOCOLS: Readonly<Record<TlsListener, readonly string[] | undefined>> = {
  http: ['http/1.1', 'http/1.0'],
  resp: undefined,
};

/** A listener that uses TLS, and its certificate in use. */
interface ActiveListener {
  readonly acceptor: TlsAcceptor;
  tls: ListenerTls;
}

/** The listeners of this thread that use TLS, with their certificates. */
@Injectable()
export class TlsListeners {
  readonly #logger = new Logger('Tls');
  readonly #counts: HandshakeCounts;
  readonly #thread: ThreadContext;
  readonly #handshakeTimeoutMs: number;
  readonly #listeners = new Map<TlsListener, ActiveListener>();

  constructor(
    thread: ThreadContext,
    counts: HandshakeCounts,
    @Inject(httpConfig.KEY) http: ConfigType<typeof httpConfig>,
    @Inject(respConfig.KEY) resp: ConfigType<typeof respConfig>,
  ) {
    this.#thread = thread;
    this.#counts = counts;
    this.#handshakeTimeoutMs = http.headersTimeoutMs;
    for (const [listener, { tls }] of [['http', http] as const, ['resp', resp] as const]) {
      if (tls !== undefined) this.#listeners.set(listener, { acceptor: this.#createAcceptor(listener, tls), tls });
    }
  }

  /** Returns what makes the handshakes of a listener; undefined if it does not use TLS. */
  acceptor(listener: TlsListener): TlsAcceptor | undefined {
    return this.#listeners.get(listener)?.acceptor;
  }

  /** Uses the certificates of these settings, and the current keys of session tickets, for handshakes from now on. */
  use(settings: Pick<Settings, TlsListener>): void {
    for (const [name, listener] of this.#listeners) {
      listener.tls = settings[name].tls ?? listener.tls;
      listener.acceptor.replace(listener.tls, this.#thread.instance.ticketKeys(name));
    }
  }

  /** Returns when the certificates in use expire, in seconds of Unix time, by listener. */
  expiries(): readonly (readonly [TlsListener, number])[] {
    return TLS_LISTENERS.flatMap((name) => {
      const listener = this.#listeners.get(name);
      return listener === undefined
        ? []
        : [[name, new X509Certificate(listener.tls.cert).validToDate.getTime() / 1000]];
    });
  }

  #createAcceptor(listener: TlsListener, tls: ListenerTls): TlsAcceptor {
    return new TlsAcceptor({
      tls,
      ticketKeys: this.#thread.instance.ticketKeys(listener),
      sessionContext: `redis-http-cache-proxy ${listener}`,
      protocols: PROTOCOLS[listener],
      handshakeTimeoutMs: this.#handshakeTimeoutMs,
      onFailure: (failure, detail) => {
        this.#counts.count(listener, failure);
        this.#logger.debug(`TLS handshake failed (${listener}, ${failure}): ${detail}`);
      },
    });
  }
}
