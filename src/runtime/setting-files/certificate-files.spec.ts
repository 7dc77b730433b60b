import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Certificate, TestAuthority } from '../../../test/support/certificates.ts';
import { loadSettings } from '../../config/load-settings.ts';
import type { ListenerTls, Settings } from '../../config/settings.ts';
import { SettingFiles } from './setting-files.ts';

let authority: TestAuthority;
let first: Certificate;
let second: Certificate;
let directory: string;
let log: string[];
let used: Settings[];

beforeAll(async () => {
  authority = await TestAuthority.create();
  [first, second] = await Promise.all([authority.issue(['a']), authority.issue(['b'])]);
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  log = [];
  used = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);

function write(folder: string, { cert, key }: Certificate): void {
  mkdirSync(at(folder), { recursive: true });
  writeFileSync(join(at(folder), 'tls.crt'), cert);
  writeFileSync(join(at(folder), 'tls.key'), key);
}

const pair = (listener: string, folder: string) => ({
  [`${listener}_TLS_CERT_FILE`]: join(at(folder), 'tls.crt'),
  [`${listener}_TLS_KEY_FILE`]: join(at(folder), 'tls.key'),
});

function watched(environment: Record<string, string>): SettingFiles {
  const line = (level: string) => (text: string) => void log.push(`${level}: ${text}`);
  const logger = { log: line('log'), warn: line('warn'), error: line('error') };
  return new SettingFiles(loadSettings(environment, at('none')), (settings) => used.push(settings), logger);
}

async function pollTwice(files: SettingFiles): Promise<void> {
  await files.poll();
  await files.poll();
}

const isOf = (tls: ListenerTls | undefined, { cert, key }: Certificate): boolean =>
  tls?.cert === cert && tls.key.reveal() === key;

const endOf = ({ cert }: Certificate): string => new X509Certificate(cert).validToDate.toISOString();

describe('certificates of listeners', () => {
  it('are replaced for the listener whose files have changed', async () => {
    write('http', first);
    write('resp', first);
    const files = watched({ ...pair('HTTP', 'http'), ...pair('RESP', 'resp') });
    await pollTwice(files);
    expect(used).toEqual([]);
    write('resp', second);
    await pollTwice(files);
    expect(used.map(({ http, resp }) => [isOf(http.tls, first), isOf(resp.tls, second)])).toEqual([[true, true]]);
    expect(log).toEqual([`log: RESP_TLS_CERT_FILE reloaded: valid until ${endOf(second)}`]);
  });

  it('are replaced when a symbolic link in their path changes, as in Kubernetes secrets', async () => {
    write('..1', first);
    write('..2', second);
    symlinkSync('..1', at('..data'));
    const files = watched(pair('HTTP', '..data'));
    symlinkSync('..2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    await pollTwice(files);
    expect(used.map(({ http }) => isOf(http.tls, second))).toEqual([true]);
  });

  it('are replaced by one that has expired, with a warning', async () => {
    write('http', first);
    const files = watched(pair('HTTP', 'http'));
    const expired = await authority.issue(['c'], true);
    write('http', expired);
    await pollTwice(files);
    expect(used.map(({ http }) => isOf(http.tls, expired))).toEqual([true]);
    expect(log).toEqual([
      `log: HTTP_TLS_CERT_FILE reloaded: valid until ${endOf(expired)}`,
      expect.stringMatching(/^warn: HTTP_TLS_CERT_FILE: the certificate is valid from .* only$/),
    ]);
  });

  it('are replaced together with the authorities of client certificates', async () => {
    write('http', first);
    writeFileSync(at('ca'), authority.certificate.cert);
    const files = watched({ ...pair('HTTP', 'http'), HTTP_TLS_CLIENT_CA_FILE: at('ca') });
    const other = await TestAuthority.create();
    writeFileSync(at('ca'), other.certificate.cert);
    await pollTwice(files);
    expect(used.map(({ http }) => http.tls?.clientCa)).toEqual([other.certificate.cert]);
  });

  it('are not replaced by a certificate with the key of another, until its key has arrived', async () => {
    write('http', first);
    const files = watched(pair('HTTP', 'http'));
    writeFileSync(join(at('http'), 'tls.crt'), second.cert);
    await pollTwice(files);
    await pollTwice(files);
    expect([used, log]).toEqual([
      [],
      ['error: HTTP_TLS_KEY_FILE: does not match the certificate; keeping the previously loaded certificate'],
    ]);
    writeFileSync(join(at('http'), 'tls.key'), second.key);
    await pollTwice(files);
    expect(used.map(({ http }) => isOf(http.tls, second))).toEqual([true]);
  });

  it.each([
    ['tls.crt', 'x', 'TLS_CERT_FILE', 'file contains no certificate'],
    ['tls.crt', '-----BEGIN CERTIFICATE-----\nAA', 'TLS_CERT_FILE', 'cannot be used (bad end line)'],
    ['tls.key', '', 'TLS_KEY_FILE', 'file contains no private key'],
    ['tls.key', undefined, 'TLS_KEY_FILE', 'cannot be read (ENOENT)'],
  ])('are kept while a file is unusable: %s with content %j', async (name, content, setting, problem) => {
    write('http', first);
    const files = watched(pair('HTTP', 'http'));
    const path = join(at('http'), name);
    if (content === undefined) rmSync(path);
    else writeFileSync(path, content);
    await pollTwice(files);
    write('http', first);
    await pollTwice(files);
    expect([used, log]).toEqual([
      [],
      [
        `error: HTTP_${setting}: ${problem}; keeping the previously loaded certificate`,
        `log: HTTP_${setting}: usable again`,
      ],
    ]);
  });
});
