import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CommandLineError, flagOf, namedAsGiven, readCommandLine } from './command-line.ts';
import { describeSettings } from './environment/setting.decorators.ts';

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

describe('what is not understood is told, a line each:', () => {
  it.each([
    [['--cache-capacty', '3'], '--cache-capacty: there is no such flag; did you mean --cache-capacity?'],
    [['--CACHE_CAPACITY=3'], '--CACHE_CAPACITY: there is no such flag; did you mean --cache-capacity?'],
    [['-cache-capacity', '3'], '-cache-capacity: there is no such flag; did you mean --cache-capacity?'],
    [['--hlep'], '--hlep: there is no such flag; did you mean --help?'],
    [['--redis-uri', 'redis://h'], '--redis-uri: there is no such flag; did you mean --redis-url?'],
    [['--acces-token', 'hunter2'], '--acces-token: there is no such flag; did you mean --access-token-file?'],
    [['--verbose'], '--verbose: there is no such flag; accepted: the flags that --help lists'],
    [['-x'], '-x: there is no such flag; accepted: the flags that --help lists'],
    [['-ahunter2'], '-a…: there is no such flag; accepted: the flags that --help lists'],
    [['-hv'], '-h…: there is no such flag; accepted: the flags that --help lists'],
    [['--h'], '--h: there is no such flag; accepted: the flags that --help lists'],
    [['--help=yes'], '--help: there is no such flag; did you mean --help?'],
    [['--a\nb'], '"--a\\nb": there is no such flag; accepted: the flags that --help lists'],
    [['--cache-capacity'], '--cache-capacity: has no value; accepted: a whole number from 0 to 50000000'],
    [['--cache-capacity='], '--cache-capacity: has no value; accepted: a whole number from 0 to 50000000'],
    [['--log-level', '--log-format=json'], /^--log-level: has no value; accepted: one of fatal, /],
    [['--resp-port', '--log-format=json'], /^--resp-port: has no value; accepted: /],
    [['--access-token-file='], '--access-token-file: has no value; accepted: the path of a readable file'],
    [['--http-port=1', '--http-port', '2'], '--http-port: is given more than once; accepted: once'],
    [['--http-port=1', '--http-port=2', '--http-port=3'], '--http-port: is given more than once; accepted: once'],
    [['serve'], 'word 1 of the command line is no flag, and no value of one; accepted: the flags that --help lists'],
    [['--http-port', '1', '2'], /^word 3 of the command line is no flag, and no value of one; /],
    [['--', '--http-port=1'], /^word 1 of the command line is no flag/, /^word 2 of the command line is no flag/],
    [
      ['--access-token', 'hunter2'],
      '--access-token: takes no secret, which every user of this machine could read; accepted: --access-token-file with the path of a file, or ACCESS_TOKEN in the environment',
    ],
    [
      ['--redis-url=redis://:hunter2@host'],
      '--redis-url: takes no secret, which every user of this machine could read; accepted: --redis-url-file with the path of a file, or REDIS_URL in the environment',
    ],
    [['--redis-url=redis:/:hunter2@host'], /^--redis-url: takes no secret/],
  ])('%j', (words: string[], ...expected: (string | RegExp)[]) => {
    expect(problemsOf(...words)).toEqual(
      expected.map((problem): unknown => (typeof problem === 'string' ? problem : expect.stringMatching(problem))),
    );
  });

  it('all of it at once', () => {
    expect(problemsOf('serve', '--htpp-port', '1', '--cache-ttl-ms').map((line) => line.split(/[:;]/, 1)[0])).toEqual([
      'word 1 of the command line is no flag, and no value of one',
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
    const problems = 'HTTP_PORT: bad; accepted: 1\nCACHE_CAPACITY, CACHE_MAX_BYTES: too many\nLOG_LEVEL: bad';
    expect(namedAsGiven(problems, { HTTP_PORT: '0', CACHE_MAX_BYTES: '0' })).toBe(
      '--http-port: bad; accepted: 1\nCACHE_CAPACITY, --cache-max-bytes: too many\nLOG_LEVEL: bad',
    );
  });
});
