import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '../config/load-settings.ts';
import { openFilesLimit, openFilesWarning } from './open-files.ts';

const limits = (soft: string): string =>
  [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max processes             96000                96000                processes ',
    `Max open files            ${soft.padEnd(20)} 1048576              files     `,
    '',
  ].join('\n');

describe('the limit of open files', () => {
  it("is the soft one in Linux' /proc, and unknown elsewhere", () => {
    expect(openFilesLimit(limits('4096'))).toBe(4096);
    expect(openFilesLimit(limits('unlimited'))).toBe(Infinity);
    expect(openFilesLimit('')).toBeUndefined();
    if (process.platform === 'linux') expect(openFilesLimit()).toBeGreaterThan(0);
  });

  it('is warned of where connections and the files of the proxy itself exceed it, and only there', () => {
    const warningFor = (connections: number, limit: number | undefined, opsPort = '') => {
      const environment = { PROXY_MAX_CONNECTIONS: String(connections), PROXY_THREADS: '2', OPS_PORT: opsPort };
      return openFilesWarning(loadSettings(environment, '/nowhere'), limit);
    };
    expect(warningFor(3997, 4096)).toBe(
      "PROXY_MAX_CONNECTIONS=3997 and 100 files of the proxy's own exceed the limit of 4096 open files (RLIMIT_NOFILE): connections beyond it are not accepted; raise it (ulimit -n), or set PROXY_MAX_CONNECTIONS to 3996",
    );
    expect(warningFor(3996, 4096)).toBeUndefined();
    expect(warningFor(3996, 4096, '9090')).toContain("and 356 files of the proxy's own");
    expect(warningFor(3740, 4096, '9090')).toBeUndefined();
    expect(warningFor(1_000_000, Infinity)).toBeUndefined();
  });
});
