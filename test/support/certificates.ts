// The library needs it.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, PEM text. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

/** Configuration of mutual TLS between servers and the proxy. */
export interface MutualTls {
  /** Arguments of redis-server, except the ports. */
  readonly args: readonly string[];
  /** Options of the test's own client. */
  readonly client: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Settings of the proxy. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A certificate authority of a test's own. */
export class TestAuthority {
  readonly certificate: Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #name: string;

  private constructor(certificate: Certificate, keys: webcrypto.CryptoKeyPair, name: string) {
    this.certificate = certificate;
    this.#keys = keys;
    this.#name = name;
  }

  static async create(): Promise<TestAuthority> {
    const name = 'CN=Test authority';
    const keys = await newKeys();
    const cert = await x509.X509CertificateGenerator.createSelfSigned({
      name,
      keys,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new TestAuthority({ cert: cert.toString('pem'), key: await pemOf(keys) }, keys, name);
  }

  /**
   * A certificate for these host names and addresses.
   *
   * @param expired whether it was valid until yesterday.
   */
  async issue(names: readonly string[], expired = false): Promise<Certificate> {
    const keys = await newKeys();
    const end = Date.now() + (expired ? -DAY_MS : DAY_MS);
    const cert = await x509.X509CertificateGenerator.create({
      subject: 'CN=test',
      issuer: this.#name,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      notBefore: new Date(end - 2 * DAY_MS),
      notAfter: new Date(end),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const), value })),
        ),
      ],
    });
    return { cert: cert.toString('pem'), key: await pemOf(keys) };
  }
}

/** @param names of the servers, all of which have the same certificate. */
export async function mutualTls(directory: string, names: readonly string[]): Promise<MutualTls> {
  const authority = await TestAuthority.create();
  const { cert: ca } = authority.certificate;
  const [server, client] = await Promise.all([authority.issue(names), authority.issue(['client'])]);
  const files = { ca, cert: server.cert, key: server.key, 'client-cert': client.cert, 'client-key': client.key };
  const path = (name: keyof typeof files): string => join(directory, `${name}.pem`);
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name as keyof typeof files), text);
  const args = ['--tls-ca-cert-file', path('ca'), '--tls-cert-file', path('cert'), '--tls-key-file', path('key')];
  return {
    args: [...args, '--tls-cluster', 'yes', '--tls-replication', 'yes'],
    client: { ca, ...client },
    settings: {
      REDIS_URL: 'rediss://any',
      REDIS_TLS_CA_FILE: path('ca'),
      REDIS_TLS_CERT_FILE: path('client-cert'),
      REDIS_TLS_KEY_FILE: path('client-key'),
    },
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return x509.PemConverter.encode(bytes, 'PRIVATE KEY');
}
