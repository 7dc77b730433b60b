import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import { configModule } from './config.module.ts';
import { loadSettings } from './load-settings.ts';
import { adminConfig, cacheConfig } from './namespaces.ts';
import { packSettings, unpackSettings } from './settings-transfer.ts';

@Injectable()
class Consumer {
  readonly cache: ConfigType<typeof cacheConfig>;
  readonly admin: ConfigType<typeof adminConfig>;

  constructor(
    @Inject(cacheConfig.KEY) cache: ConfigType<typeof cacheConfig>,
    @Inject(adminConfig.KEY) admin: ConfigType<typeof adminConfig>,
  ) {
    this.cache = cache;
    this.admin = admin;
  }
}

describe('configModule', () => {
  afterEach(() => {
    delete process.env.CACHE_CAPACITY;
  });

  it('provides groups of settings that were posted to a thread, without reading the environment', async () => {
    const settings = loadSettings({ CACHE_CAPACITY: '3', ADMIN_TOKEN: 'hunter2' }, '/nowhere');
    process.env.CACHE_CAPACITY = '4';
    const module = await Test.createTestingModule({
      imports: [configModule(unpackSettings(structuredClone(packSettings(settings))))],
      providers: [Consumer],
    }).compile();
    const { cache, admin } = module.get(Consumer);
    expect(cache).toEqual(settings.cache);
    expect(Object.isFrozen(cache)).toBe(true);
    expect(admin.tokens.map((token) => token.reveal())).toEqual(['hunter2']);
    await module.close();
  });

  it('provides other settings to each module that is built', async () => {
    for (const capacity of [1, 2]) {
      const settings = loadSettings({ CACHE_CAPACITY: String(capacity) }, '/nowhere');
      const module = await Test.createTestingModule({ imports: [configModule(settings)] }).compile();
      expect(module.get<ConfigType<typeof cacheConfig>>(cacheConfig.KEY).capacity).toBe(capacity);
      await module.close();
    }
  });
});
