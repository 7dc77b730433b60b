import { expect, it } from '@jest/globals';
import type { CacheService } from '../../../cache/cache.service.ts';
import type { InstanceStats } from '../../../instance/instance-stats.ts';
import type { ReadMetrics } from '../../../instance/read-metrics.ts';
import { loadSettings } from '../../../config/load-settings.ts';
import { ServerInfo } from './server-info.ts';

it.each([
  ['0', '0'],
  ['300', '1'],
  ['90000', '90'],
])('CONFIG GET timeout reports RESP_IDLE_TIMEOUT_MS=%s in whole seconds, rounded up: %s', (ms, seconds) => {
  const settings = loadSettings({ RESP_IDLE_TIMEOUT_MS: ms }, '/nowhere');
  const info = new ServerInfo({} as CacheService, {} as InstanceStats, {} as ReadMetrics, settings, 6380);
  expect(info.configuration(['timeo*'])).toEqual([['timeout', seconds]]);
});
