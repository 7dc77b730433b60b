import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Environment } from './environment/environment.ts';
import { Secret } from './secret.ts';
import type { ListenerTls, Settings } from './settings.ts';

/** Adds a line to the problems of the settings. */
export type ReportProblem = (name: string, problem: string) => void;

type PemContent = 'certificate' | 'private key';

const LABELS = { certificate: 'CERTIFICATE', 'private key': 'PRIVATE KEY' } as const;
/** A certificate and what follows it, up to the next object. */
const CERTIFICATE = /^\uFEFF?-----BEGIN (?:[A-Z]+ )*CERTIFICATE-----(?:(?!^-----BEGIN )[^])*/gm;
/** In PKCS #8, or in the older form of OpenSSL. */
const ENCRYPTED = /^(?:\uFEFF?-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED)/m;

/** Reads a PEM file; reports a problem if it cannot be read or contains something else. */
export function readPem(
  name: string,
  file: string | undefined,
  content: PemContent,
  report: ReportProblem,
): string | undefined {
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    const problem = pemProblem(text, content);
    if (problem === undefined) return text;
    report(name, `${problem}; expected a PEM file`);
  } catch (error) {
    const { code = 'unknown reason' } = error as NodeJS.ErrnoException;
    report(name, `cannot be read (${code}); expected the path of a readable PEM file`);
  }
  return undefined;
}

/** Returns why a text is not PEM text with a certificate, or a private key; it may start with a byte order mark. */
function pemProblem(text: string, content: PemContent): string | undefined {
  const label = new RegExp(`^\\uFEFF?-----BEGIN (?:[A-Z]+ )*${LABELS[content]}-----`, 'm');
  return label.test(text) ? undefined : `file contains no ${content}`;
}

/** Returns the settings for the log: with a placeholder for the text of each certificate. */
export function withoutPemText(settings: Settings): unknown {
  const shown = JSON.stringify(settings, (_, value: unknown) =>
    typeof value === 'string' && value.includes('-----BEGIN ') ? '[certificate]' : value,
  );
  return JSON.parse(shown) as unknown;
}

/** The PEM text of a listener's certificate, with those of its issuers, and of what belongs to it. */
export interface ListenerPem {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/** A problem of certificates, and the file that has it. */
interface ListenerPemProblem {
  readonly file: keyof ListenerPem;
  readonly problem: string;
}

/** Returns why a listener cannot use these texts, so that the problem is found before the first handshake. */
export function listenerPemProblem({ cert, key, clientCa }: ListenerPem): ListenerPemProblem | undefined {
  const contents = [
    ['cert', cert, 'certificate'],
    ['key', key, 'private key'],
    ['clientCa', clientCa, 'certificate'],
  ] as const;
  for (const [file, text, content] of contents) {
    const problem = text === undefined ? undefined : pemProblem(text, content);
    if (problem !== undefined) return { file, problem };
  }
  if (ENCRYPTED.test(key)) return { file: 'key', problem: 'is encrypted; expected a private key without a passphrase' };
  return (
    problemOf('key', () => createPrivateKey(key)) ??
    problemOf('cert', () => checkCertificates(cert)) ??
    (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
      ? undefined
      : { file: 'key', problem: 'does not match the certificate' }) ??
    problemOf('clientCa', () => clientCa !== undefined && checkCertificates(clientCa)) ??
    problemOf('cert', () => createSecureContext({ cert, key }))
  );
}

/** @throws Error if one of the certificates is invalid or cut short; OpenSSL ignores what follows it. */
function checkCertificates(text: string): void {
  for (const [certificate] of text.matchAll(CERTIFICATE)) new X509Certificate(certificate);
}

/** Returns why the certificates of a PEM text cannot be used. */
export function certificatesProblem(text: string): string | undefined {
  return problemOf('cert', () => checkCertificates(text))?.problem;
}

function problemOf(file: keyof ListenerPem, use: () => unknown): ListenerPemProblem | undefined {
  try {
    use();
    return undefined;
  } catch (error) {
    const { reason, code = 'unknown reason' } = error as NodeJS.ErrnoException & { reason?: string };
    return { file, problem: `cannot be used (${reason ?? code})` };
  }
}

/** Returns a warning about a certificate that clients will reject because of its dates. */
export function expiryWarning(
  listener: 'HTTP' | 'RESP',
  tls: Pick<ListenerTls, 'cert'> | undefined,
): string | undefined {
  if (tls === undefined) return undefined;
  const { validFromDate: from, validToDate: to } = new X509Certificate(tls.cert);
  const now = Date.now();
  if (from.getTime() <= now && now < to.getTime()) return undefined;
  return `${listener}_TLS_CERT_FILE: the certificate is valid from ${from.toISOString()} to ${to.toISOString()} only`;
}

/** Returns the names of the settings with the files of a listener. */
export function listenerPemSettings<Listener extends 'HTTP' | 'RESP'>(
  listener: Listener,
): {
  readonly cert: `${Listener}_TLS_CERT_FILE`;
  readonly key: `${Listener}_TLS_KEY_FILE`;
  readonly clientCa: `${Listener}_TLS_CLIENT_CA_FILE`;
} {
  return {
    cert: `${listener}_TLS_CERT_FILE`,
    key: `${listener}_TLS_KEY_FILE`,
    clientCa: `${listener}_TLS_CLIENT_CA_FILE`,
  };
}

/** Returns the settings of TLS for a listener; undefined if it is off, or for invalid settings, which are reported. */
export function listenerTls(
  listener: 'HTTP' | 'RESP',
  values: Environment,
  report: ReportProblem,
): ListenerTls | undefined {
  const names = listenerPemSettings(listener);
  const { [names.cert]: certFile, [names.key]: keyFile, [names.clientCa]: clientCaFile } = values;
  if (certFile !== undefined && keyFile === undefined) report(names.cert, `requires ${names.key}`);
  for (const name of [names.key, names.clientCa]) {
    if (values[name] !== undefined && certFile === undefined) report(name, `requires ${names.cert}`);
  }
  if (certFile === undefined || keyFile === undefined) return undefined;
  if (listener === 'RESP' && values.RESP_PORT === undefined) report(names.cert, 'requires RESP_PORT');
  const cert = readPem(names.cert, certFile, 'certificate', report);
  const key = readPem(names.key, keyFile, 'private key', report);
  const clientCa = readPem(names.clientCa, clientCaFile, 'certificate', report);
  if (cert === undefined || key === undefined || (clientCaFile !== undefined && clientCa === undefined)) {
    return undefined;
  }
  const found = listenerPemProblem({ cert, key, clientCa });
  if (found !== undefined) report(names[found.file], found.problem);
  return { certFile, keyFile, clientCaFile, cert, key: new Secret(key), clientCa };
}
