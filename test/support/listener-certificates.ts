import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { type Certificate, TestAuthority } from './certificates.ts';
import type { Settings } from './proxy.ts';

const HOST = '127.0.0.1';

/**
 * Certificates of the proxy in a folder that is mounted as a Kubernetes secret is: the files are behind a symbolic link, which
 * changes when the secret does.
 */
export class ListenerCertificates {
  readonly directory = mkdtempSync(join(tmpdir(), 'listener-certificates-'));
  readonly authority: TestAuthority;
  #versions = 0;

  private constructor(authority: TestAuthority) {
    this.authority = authority;
  }

  static async create(): Promise<ListenerCertificates> {
    const created = new ListenerCertificates(await TestAuthority.create());
    writeFileSync(created.path('ca.pem'), created.authority.certificate.cert);
    created.mount(await created.authority.issue([HOST]));
    return created;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Replaces the mounted certificate and key at once. */
  mount({ cert, key }: Certificate): void {
    const version = `..${++this.#versions}`;
    mkdirSync(this.path(version));
    writeFileSync(join(this.path(version), 'tls.crt'), cert);
    writeFileSync(join(this.path(version), 'tls.key'), key);
    symlinkSync(version, this.path('..data_tmp'));
    renameSync(this.path('..data_tmp'), this.path('..data'));
  }

  /** Issues a certificate for the proxy. */
  issue(): Promise<Certificate> {
    return this.authority.issue([HOST]);
  }

  /** Settings of both listeners. */
  get settings(): Settings {
    const [cert, key] = [join(this.path('..data'), 'tls.crt'), join(this.path('..data'), 'tls.key')];
    return {
      ...{ HTTP_TLS_CERT_FILE: cert, HTTP_TLS_KEY_FILE: key },
      ...{ RESP_PORT: 0, RESP_TLS_CERT_FILE: cert, RESP_TLS_KEY_FILE: key },
    };
  }

  /** Options of clients. */
  get client(): ConnectionOptions {
    return { ca: this.authority.certificate.cert };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
