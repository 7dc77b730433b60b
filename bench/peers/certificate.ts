import { TestAuthority } from '../../test/support/certificates.ts';
import type { Workbench } from './workbench.ts';

/** Files of a certificate for 127.0.0.1, which all contestants share: ECDSA, P-256. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** Both in one file, for HAProxy. */
  readonly both: string;
}

const files = new WeakMap<Workbench, Promise<CertificateFiles>>();

/** Returns the certificate of a run. */
export function certificateFiles(bench: Workbench): Promise<CertificateFiles> {
  let created = files.get(bench);
  if (created === undefined) files.set(bench, (created = create(bench)));
  return created;
}

async function create(bench: Workbench): Promise<CertificateFiles> {
  const { cert, key } = await (await TestAuthority.create()).issue(['127.0.0.1']);
  return {
    cert: bench.file('cert.pem', cert),
    key: bench.file('key.pem', key),
    both: bench.file('both.pem', `${cert}\n${key}`),
  };
}
