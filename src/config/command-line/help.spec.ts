import { describe, expect, it } from '@jest/globals';
import { flagOf } from './command-line.ts';
import { helpText } from './help.ts';
import { describeSettings } from '../environment/environment.ts';

const help = helpText('1.2.3');
/** Line breaks are where they fit. */
const words = help.replace(/\s+/g, ' ');
const flags = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+) /gm)].map(([, flag]) => flag);

describe('the help', () => {
  it('begins with the program and its version', () => {
    expect(help).toMatch(/^redis-http-cache-proxy 1\.2\.3\n/);
  });

  it('fits into 100 columns, and no line ends in a space', () => {
    for (const line of help.split('\n')) expect(line).toMatch(/^(?:|.{0,99}\S)$/);
  });

  it('has every flag once', () => {
    const expected = describeSettings().flatMap(({ name, secret, isPublic }) =>
      secret ? [...(isPublic ? [flagOf(name)] : []), flagOf(`${name}_FILE`)] : [flagOf(name)],
    );
    expect([...flags].sort()).toEqual(['--help', '--version', ...expected].sort());
  });

  it('has no flag for a secret, but for its file', () => {
    expect(flags.filter((flag) => /password|token/.test(flag))).toEqual([
      '--redis-sentinel-password-file',
      '--redis-password-file',
      '--access-token-file',
      '--admin-token-file',
    ]);
  });

  it.each(describeSettings())('shows the meaning, the accepted values and the default of $name', (setting) => {
    const { meaning, accepted, defaultText, secret, isPublic } = setting;
    const takes = secret && isPublic === undefined ? `path of a file that contains ${accepted}` : accepted;
    expect(words).toContain(`${meaning} ${secret && isPublic === undefined ? takes : `accepts ${takes}`}`);
    if (defaultText !== '') expect(words).toContain(`${accepted}; default: ${defaultText}`);
  });
});
