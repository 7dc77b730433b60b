import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Certificate, TestAuthority } from '../../test/support/certificates.ts';
import { SettingsError, loadSettings } from './load-settings.ts';
import { listenerPemProblem, withoutPemText } from './pem-files.ts';
import type { Settings } from './settings.ts';

let directory: string;
let ca: Certificate;
let own: Certificate;
let other: Certificate;
let expired: Certificate;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'listener-tls-'));
  const authority = await TestAuthority.create();
  ca = authority.certificate;
  [own, other, expired] = await Promise.all([
    authority.issue(['proxy']),
    authority.issue(['proxy']),
    authority.issue(['proxy'], true),
  ]);
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const load = (environment: Record<string, string>) => loadSettings(environment, '/nowhere');

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    load(environment);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
}

it.each(['cert', 'key', 'clientCa'] as const)(
  'a %s file that is cut short anywhere is a problem, not an exception',
  (file) => {
    const chain = `${own.cert.trim()}\n# its issuer\n${ca.cert.trim()}\n`;
    const whole = { cert: chain, key: own.key, clientCa: chain };
    expect(listenerPemProblem(whole)).toBeUndefined();
    for (let length = 0; length < whole[file].length; length++) {
      const text = whole[file].slice(0, length);
      const [begun, ended] = ['BEGIN', 'END'].map((label) => text.split(new RegExp(`-----${label} .+-----`)).length);
      // Behind the last line of an object, up to the first line of the next one, nothing is missing.
      if (begun === ended && begun > 1) continue;
      expect([length, listenerPemProblem({ ...whole, [file]: text })?.file]).toEqual([length, file]);
    }
  },
);

describe.each(['HTTP', 'RESP'] as const)('TLS of the listener %s', (listener) => {
  const [CERT, KEY, CA] = ['CERT', 'KEY', 'CLIENT_CA'].map((name) => `${listener}_TLS_${name}_FILE`);
  const pair = () => ({ [CERT]: file('cert.pem', own.cert), [KEY]: file('key.pem', own.key) });
  const settingOf = (environment: Record<string, string>) => load(environment)[listener === 'HTTP' ? 'http' : 'resp'];

  it('is off without files', () => {
    expect(settingOf({}).tls).toBeUndefined();
  });

  it('has the content of the files, and the key is a secret', () => {
    const { tls } = settingOf({ ...pair(), [CA]: file('ca.pem', ca.cert) });
    expect([tls?.cert, tls?.key.reveal(), tls?.clientCa]).toEqual([own.cert, own.key, ca.cert]);
    expect(JSON.stringify(tls)).not.toContain('PRIVATE KEY');
  });

  it('is logged with the names of its files, without their content', () => {
    const settings = withoutPemText(load({ ...pair(), [CA]: file('ca.pem', ca.cert) }));
    const { tls } = (settings as Settings)[listener === 'HTTP' ? 'http' : 'resp'];
    expect(tls).toEqual({
      certFile: join(directory, 'cert.pem'),
      keyFile: join(directory, 'key.pem'),
      clientCaFile: join(directory, 'ca.pem'),
      cert: '[certificate]',
      key: '[secret]',
      clientCa: '[certificate]',
    });
  });

  it('needs a certificate and its key', () => {
    const { [CERT]: cert, [KEY]: key } = pair();
    expect(problemsOf({ [CERT]: cert })).toEqual([`${CERT}: requires ${KEY}`]);
    expect(problemsOf({ [KEY]: key, [CA]: cert })).toEqual([`${KEY}: requires ${CERT}`, `${CA}: requires ${CERT}`]);
    expect(problemsOf({ ...pair(), [KEY]: file('other.pem', other.key) })).toEqual([
      `${KEY}: does not match the certificate`,
    ]);
  });

  it.each([
    ['CERT', 'x', 'file contains no certificate; expected a PEM file'],
    ['KEY', 'x', 'file contains no private key; expected a PEM file'],
    ['CLIENT_CA', 'x', 'file contains no certificate; expected a PEM file'],
    ['CERT', '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n', /^cannot be used \(.+\)$/],
    ['KEY', '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n', /^cannot be used \(.+\)$/],
    ['CLIENT_CA', '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n', /^cannot be used \(.+\)$/],
  ])('names the file that cannot be used: %s, %j', (name, text, problem) => {
    const setting = `${listener}_TLS_${name}_FILE`;
    const [found, ...more] = problemsOf({ ...pair(), [setting]: file('broken.pem', text) });
    expect(more).toEqual([]);
    expect(found).toMatch(new RegExp(`^${setting}: `));
    expect(found.slice(setting.length + 2)).toMatch(problem);
  });

  it('warns of a certificate that has expired', () => {
    const warnings = (environment: Record<string, string>): string[] => {
      const texts: string[] = [];
      loadSettings(environment, '/nowhere', {}, ({ level, text }) => void (level === 'warn' && texts.push(text)));
      return texts;
    };
    const old = { [CERT]: file('old.pem', expired.cert), [KEY]: file('old-key.pem', expired.key) };
    expect(warnings(old)).toEqual([expect.stringContaining(`${CERT}: the certificate is valid from `)]);
    expect(warnings(pair())).toEqual([]);
  });

  it('names the file that cannot be read', () => {
    expect(problemsOf({ ...pair(), [CERT]: join(directory, 'none') })).toEqual([
      `${CERT}: cannot be read (ENOENT); expected the path of a readable PEM file`,
    ]);
  });

  it.each(['pkcs1', 'pkcs8'] as const)('does not accept an encrypted key (%s)', (type) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const encryption = { cipher: 'aes-256-cbc', passphrase: 'secret' };
    const key = privateKey.export({ type, format: 'pem', ...encryption }).toString();
    expect(problemsOf({ ...pair(), [KEY]: file('encrypted.pem', key) })).toEqual([
      `${KEY}: is encrypted; expected a private key without a passphrase`,
    ]);
  });
});

describe('listenerPemProblem', () => {
  const problemOf = (files: object) =>
    listenerPemProblem({ cert: own.cert, key: own.key, clientCa: undefined, ...files });
  const chain = () => `${own.cert.trimEnd()}\n${ca.cert.trimEnd()}\n`;

  it.each([
    ['as they are', (text: string) => text],
    ['with the line ends of Windows', (text: string) => text.replaceAll('\n', '\r\n')],
    ['with a byte order mark', (text: string) => `\uFEFF${text}`],
    ['behind other text', (text: string) => `Bag Attributes: none\n${text}`],
    ['without the last line end', (text: string) => text.trimEnd()],
  ])('accepts certificates and keys: %s', (_, change) => {
    expect(problemOf({ cert: change(chain()), key: change(own.key), clientCa: change(ca.cert) })).toBeUndefined();
  });

  it('accepts a key in the older form of OpenSSL', () => {
    const key = createPrivateKey(own.key).export({ type: 'sec1', format: 'pem' });
    expect(problemOf({ key })).toBeUndefined();
  });

  it('finds the problem of a file that was written in part, wherever it ends', () => {
    const whole = { cert: chain(), key: own.key, clientCa: chain() };
    /** Characters of the next certificate's first line, without which nothing indicates that it follows. */
    const undetected = '-----BEGIN CERTIFICATE-----'.length;
    const first = own.cert.trimEnd().length;
    for (const file of ['cert', 'key', 'clientCa'] as const) {
      const text = whole[file].trimEnd();
      for (let end = 0; end < text.length; end += 7) {
        if (file !== 'key' && end >= first && end <= first + 1 + undetected) continue;
        expect([end, problemOf({ [file]: text.slice(0, end) })?.file]).toEqual([end, file]);
      }
    }
  });

  it('finds the problem of certificates without a line end between them', () => {
    expect(problemOf({ cert: own.cert.trimEnd() + ca.cert })).toEqual({
      file: 'cert',
      problem: 'cannot be used (bad end line)',
    });
  });
});

describe('TLS of the Redis protocol', () => {
  it('needs the protocol', () => {
    const pair = { RESP_TLS_CERT_FILE: file('cert.pem', own.cert), RESP_TLS_KEY_FILE: file('key.pem', own.key) };
    expect(problemsOf({ ...pair, RESP_PORT: '' })).toEqual(['RESP_TLS_CERT_FILE: requires RESP_PORT']);
  });
});
