import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CommandLineError, flagOf, withFlagNames, readCommandLine } from './command-line.ts';
import { describeSettings } from '../environment/environment.ts';

function flagsOf(...words: string[]): Readonly<Record<string, string>> {
  const commandLine = readCommandLine(words);
  if (commandLine.kind !== 'start') throw new Error(`not a start: ${commandLine.kind}`);
  return commandLine.flags;
}

function problemsOf(...words: string[]): readonly string[] {
  try {
    readCommandLine(words);
  } catch (error) {
    if (error instanceof CommandLineError) return error.problems;
    throw error;
  }
  return [];
}

describe('flags', () => {
  it('are settings, the value behind the flag or behind =', () => {
    expect(flagsOf()).toEqual({});
    expect(flagsOf('--cache-capacity', '3', '--cache-respect-key-ttl=false', '--redis-nodes', 'a:1,b:2')).toEqual({
      CACHE_CAPACITY: '3',
      CACHE_RESPECT_KEY_TTL: 'false',
      REDIS_NODES: 'a:1,b:2',
    });
  });

  it('take any value: one with =, one that starts with -, and behind = one that starts with --', () => {
    expect(flagsOf('--redis-username', 'a=b=c', '--cache-ttl-ms', '-1', '--key-allowlist=--x')).toEqual({
      REDIS_USERNAME: 'a=b=c',
      CACHE_TTL_MS: '-1',
      KEY_ALLOWLIST: '--x',
    });
  });

  it('take an empty value where being empty means something', () => {
    expect(flagsOf('--resp-port=')).toEqual({ RESP_PORT: '' });
    expect(flagsOf('--resp-port', '')).toEqual({ RESP_PORT: '' });
  });

  it('take the files of secrets, and an address without a password', () => {
    expect(flagsOf('--admin-token-file', '/run/admin', '--redis-url', 'redis://user@host:6379/1')).toEqual({
      ADMIN_TOKEN_FILE: '/run/admin',
      REDIS_URL: 'redis://user@host:6379/1',
    });
  });

  it('accept the former name of a setting, and do not suggest it', () => {
    expect(flagsOf('--http-lane', 'off', '--upstash-dialect=off')).toEqual({
      HTTP_LANE: 'off',
      UPSTASH_DIALECT: 'off',
    });
    expect(problemsOf('--http-lan', 'off')).toEqual([expect.not.stringContaining('http-lane')]);
  });

  it('are understood in any order and either form', () => {
    const settings = describeSettings().map(({ name, secret }) => (secret ? `${name}_FILE` : name));
    const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/^--|^-[hv]$/.test(text));
    const given = fc.uniqueArray(fc.tuple(fc.constantFrom(...settings), value, fc.boolean()), {
      selector: ([name]) => name,
    });
    fc.assert(
      fc.property(given, (all) => {
        const words = all.flatMap(([name, text, joined]) =>
          joined ? [`${flagOf(name)}=${text}`] : [flagOf(name), text],
        );
        expect(flagsOf(...words)).toEqual(Object.fromEntries(all));
      }),
    );
  });
});

describe('--help and --version', () => {
  it.each([
    [['--help'], 'help'],
    [['-h'], 'help'],
    [['--version'], 'version'],
    [['-v'], 'version'],
    [['--version', '--help'], 'help'],
    [['--cache-capacity', '3', '-h'], 'help'],
    [['--cache-capacity', '--help'], 'help'],
    [['--cache-capacity', '-v'], 'version'],
    [['--no-such-flag', 'stray', '--help'], 'help'],
  ])('%j asks for %s', (words, kind) => {
    expect(readCommandLine(words)).toEqual({ kind });
  });
});

describe('invalid flags are reported, one line each:', () => {
  it.each([
    [['--cache-capacty', '3'], '--cache-capacty: unknown flag; did you mean --cache-capacity?'],
    [['--CACHE_CAPACITY=3'], '--CACHE_CAPACITY: unknown flag; did you mean --cache-capacity?'],
    [['-cache-capacity', '3'], '-cache-capacity: unknown flag; did you mean --cache-capacity?'],
    [['--hlep'], '--hlep: unknown flag; did you mean --help?'],
    [['--redis-uri', 'redis://h'], '--redis-uri: unknown flag; did you mean --redis-url?'],
    [['--acces-token', 'hunter2'], '--acces-token: unknown flag; did you mean --access-token-file?'],
    [['--verbose'], '--verbose: unknown flag; see --help'],
    [['-x'], '-x: unknown flag; see --help'],
    [['-ahunter2'], '-a…: unknown flag; see --help'],
    [['-hv'], '-h…: unknown flag; see --help'],
    [['--h'], '--h: unknown flag; see --help'],
    [['--help=yes'], '--help: unknown flag; did you mean --help?'],
    [['--a\nb'], '"--a\\nb": unknown flag; see --help'],
    [['--cache-capacity'], '--cache-capacity: value missing; expected an integer from 0 to 50000000'],
    [['--cache-capacity='], '--cache-capacity: value missing; expected an integer from 0 to 50000000'],
    [['--log-level', '--log-format=json'], /^--log-level: value missing; expected one of fatal, /],
    [['--resp-port', '--log-format=json'], /^--resp-port: value missing; expected /],
    [['--access-token-file='], '--access-token-file: value missing; expected the path of a readable file'],
    [['--http-port=1', '--http-port', '2'], '--http-port: given more than once'],
    [['--http-port=1', '--http-port=2', '--http-port=3'], '--http-port: given more than once'],
    [['serve'], 'unexpected argument 1; see --help'],
    [['--http-port', '1', '2'], /^unexpected argument 3; /],
    [['--', '--http-port=1'], /^unexpected argument 1/, /^unexpected argument 2/],
    [
      ['--access-token', 'hunter2'],
      '--access-token: secrets on the command line are visible to every local user; use --access-token-file or ACCESS_TOKEN',
    ],
    [
      ['--redis-url=redis://:hunter2@host'],
      '--redis-url: secrets on the command line are visible to every local user; use --redis-url-file or REDIS_URL',
    ],
    [['--redis-url=redis:/:hunter2@host'], /^--redis-url: secrets on the command line/],
    [['--redis-url=unix:///s?password=hunter2'], /^--redis-url: secrets on the command line/],
  ])('%j', (words: string[], ...expected: (string | RegExp)[]) => {
    expect(problemsOf(...words)).toEqual(
      expected.map((problem): unknown => (typeof problem === 'string' ? problem : expect.stringMatching(problem))),
    );
  });

  it('all of it at once', () => {
    expect(problemsOf('serve', '--htpp-port', '1', '--cache-ttl-ms').map((line) => line.split(/[:;]/, 1)[0])).toEqual([
      'unexpected argument 1',
      '--htpp-port',
      '--cache-ttl-ms',
    ]);
  });

  it('and no value is ever part of it, whatever the words', () => {
    const secret = 'hunter2';
    const names = describeSettings().map(({ name }) => flagOf(name));
    const flag = fc.oneof(fc.constantFrom(...names, '--help', '-h', '--', '-', '-x', ''), fc.string());
    const word = fc.oneof(
      flag,
      fc.constant(secret),
      flag.map((text) => `${text}=${secret}`),
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const problems = problemsOf(...words);
        for (const problem of problems) expect(problem).not.toContain(secret);
        for (const problem of problems) expect(problem).not.toMatch(/[\r\n]/);
      }),
    );
  });
});

describe('problems with settings', () => {
  it('call each as it was given', () => {
    const problems = 'HTTP_PORT: bad; expected 1\nCACHE_CAPACITY, CACHE_MAX_BYTES: too many\nLOG_LEVEL: bad';
    expect(withFlagNames(problems, { HTTP_PORT: '0', CACHE_MAX_BYTES: '0' })).toBe(
      '--http-port: bad; expected 1\nCACHE_CAPACITY, --cache-max-bytes: too many\nLOG_LEVEL: bad',
    );
  });
});
