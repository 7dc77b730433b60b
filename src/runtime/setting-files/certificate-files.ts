import { X509Certificate } from 'node:crypto';
import { type ListenerPem, expiryWarning, listenerPemProblem, listenerPemSettings } from '../../config/pem-files.ts';
import { Secret } from '../../config/secret.ts';
import type { ListenerTls, Settings } from '../../config/settings.ts';
import { type FileContent, type SettingFile, readSettingFile } from './setting-file.ts';

/**
 * Returns the certificates of the listeners that use TLS, each with its key and the authorities of client certificates: they
 * are replaced together. Their content is {@link ListenerPem} in JSON.
 */
export function certificateFiles({ http, resp }: Settings): SettingFile[] {
  return [
    ...certificateFile('HTTP', http.tls, (settings, tls) => ({
      ...settings,
      http: Object.freeze({ ...settings.http, tls }),
    })),
    ...certificateFile('RESP', resp.tls, (settings, tls) => ({
      ...settings,
      resp: Object.freeze({ ...settings.resp, tls }),
    })),
  ];
}

function certificateFile(
  listener: 'HTTP' | 'RESP',
  tls: ListenerTls | undefined,
  withTls: (settings: Settings, tls: ListenerTls) => Settings,
): SettingFile[] {
  if (tls === undefined) return [];
  const { certFile, keyFile, clientCaFile } = tls;
  const file: SettingFile = {
    name: listenerPemSettings(listener).cert,
    what: 'certificate',
    severity: 'error',
    initial: textOf({ cert: tls.cert, key: tls.key.reveal(), clientCa: tls.clientCa }),
    read: () => readCertificate(listener, { cert: certFile, key: keyFile, clientCa: clientCaFile }),
    describe: (_, after) => `valid until ${new X509Certificate(pemOf(after).cert).validToDate.toISOString()}`,
    warningOf: (content) => expiryWarning(listener, pemOf(content)),
    apply: (settings, content) => {
      const { cert, key, clientCa } = pemOf(content);
      const files = { certFile, keyFile, clientCaFile };
      return Object.freeze(withTls(settings, Object.freeze({ ...files, cert, key: new Secret(key), clientCa })));
    },
  };
  return [file];
}

async function readCertificate(listener: 'HTTP' | 'RESP', paths: ListenerPem): Promise<FileContent> {
  const settings = listenerPemSettings(listener);
  const texts: { cert: string; key: string; clientCa: string | undefined } = { cert: '', key: '', clientCa: undefined };
  for (const name of ['cert', 'key', 'clientCa'] as const) {
    const path = paths[name];
    if (path === undefined) continue;
    const content = await readSettingFile(path);
    if ('problem' in content) return { problem: content.problem, setting: settings[name] };
    texts[name] = content.text;
  }
  const found = listenerPemProblem(texts);
  return found === undefined ? { text: textOf(texts) } : { problem: found.problem, setting: settings[found.file] };
}

function textOf({ cert, key, clientCa }: ListenerPem): string {
  return JSON.stringify({ cert, key, clientCa });
}

function pemOf(text: string): ListenerPem {
  return JSON.parse(text) as ListenerPem;
}
