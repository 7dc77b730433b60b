// The library needs it.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, PEM text. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

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

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return x509.PemConverter.encode(bytes, 'PRIVATE KEY');
}
