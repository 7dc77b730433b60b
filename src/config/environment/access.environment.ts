import { areTokens } from '../secret.ts';
import { parseKeyPatterns } from '../key-pattern-syntax.ts';
import { TextSetting } from './setting.decorators.ts';

export class AccessEnvironment {
  @TextSetting({
    check: areTokens,
    accepted: 'tokens of visible ASCII characters, separated by commas',
    meaning: 'bearer tokens for reading keys; unset: no authentication',
    secret: true,
  })
  ACCESS_TOKEN?: string;

  @TextSetting({
    check: areTokens,
    accepted: 'tokens of visible ASCII characters, separated by commas',
    meaning: 'bearer tokens of the admin API; unset: the admin API is off',
    secret: true,
  })
  ADMIN_TOKEN?: string;

  @TextSetting({
    default: '*',
    check: (value) => parseKeyPatterns(value) !== undefined,
    accepted: 'patterns separated by commas, of *, ?, [abc], [^abc], [a-z], and \\ before a literal character',
    meaning: 'patterns of the keys that may be read, as in the Redis command KEYS',
  })
  KEY_ALLOWLIST!: string;
}
