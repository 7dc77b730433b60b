import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { loadSettings } from './load-settings.ts';
import { packSettings, unpackSettings } from './settings-transfer.ts';

describe('settings that are posted to another thread', () => {
  it('arrive as they were, their secrets as secrets, and frozen', () => {
    const settings = loadSettings({ REDIS_URL: 'rediss://u:hunter2@h', ADMIN_TOKEN: 'hunter3,hunter4' }, '/nowhere');
    const arrived = unpackSettings(structuredClone(packSettings(settings)));
    expect(JSON.stringify(arrived)).toBe(JSON.stringify(settings));
    expect(arrived.redis.password?.reveal()).toBe('hunter2');
    expect(arrived.admin.tokens.map((token) => token.reveal())).toEqual(['hunter3', 'hunter4']);
    expect(inspect(arrived, { depth: 9 })).not.toContain('hunter');
    expect(Object.isFrozen(arrived) && Object.isFrozen(arrived.cache) && Object.isFrozen(arrived.admin.tokens)).toBe(
      true,
    );
  });
});
