import { deepStrictEqual } from 'node:assert';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type WarmupEntry, WarmupFile, WarmupFileError, WarmupFileWriter, unwritableReason } from './warmup-file.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'warmup-file-'));
  path = join(directory, 'keys');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function write(entries: readonly WarmupEntry[], flushEach = 3): Promise<void> {
  const writer = await WarmupFileWriter.create(path);
  for (const [i, { key, selector }] of entries.entries()) {
    const id = Buffer.concat([Buffer.from('…'), key, selector, Buffer.from('…')]);
    writer.add(id, 3, id.length - 3, selector.length);
    if (i % flushEach === 0) await writer.flush();
  }
  await writer.commit();
  expect(writer).toMatchObject({ entries: entries.length, bytes: statSync(path).size });
}

async function readAll(count = 100): Promise<WarmupEntry[] | undefined> {
  const file = await WarmupFile.open(path);
  if (file === undefined) return undefined;
  try {
    const all: WarmupEntry[] = [];
    for (let some; (some = await file.read(count)).length > 0;) all.push(...some);
    expect(all).toHaveLength(file.entries);
    return all;
  } finally {
    await file.close();
  }
}

/** Opens and reads the file; returns the message of its error. */
async function problem(): Promise<string | undefined> {
  try {
    await readAll();
    return undefined;
  } catch (error) {
    if (error instanceof WarmupFileError) return error.message;
    throw error;
  }
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const entry: fc.Arbitrary<WarmupEntry> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ key: bytes(40), selector: bytes(20) }, { noNullPrototype: true }) },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        key: fc.constantFrom(127, 128, 16_383, 16_384, 49_000).map((length) => Buffer.alloc(length, 0xff)),
        selector: fc.constantFrom(0, 1, 127, 128, 16_383).map((length) => Buffer.alloc(length, '\n')),
      },
      { noNullPrototype: true },
    ),
  },
);
const SOME: readonly WarmupEntry[] = ['a', 'b\n', 'ÿ'].map((text) => ({
  key: Buffer.from(text),
  selector: Buffer.from(text === 'a' ? '' : '\0\x07HGETALL'),
}));

describe('the file of the warm-up', () => {
  it('returns the keys and selectors that were written, of any bytes, in their order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 9 }),
        async (all, n) => {
          await write(all, n);
          // Jest compares long buffers slowly.
          deepStrictEqual(await readAll(n), all);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is complete, whatever the number of buffers it takes', async () => {
    const all = Array.from({ length: 40 }, (_, i) => ({ key: Buffer.alloc(50_000, i), selector: Buffer.from([i]) }));
    await write(all, 1000);
    deepStrictEqual(await readAll(), all);
  });

  it('can be read by its owner alone, and leaves no other file behind', async () => {
    await write(SOME);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['keys']);
  });

  it('replaces the one from before at once: until then, and if the writer gives up, that one stays', async () => {
    await write(SOME);
    const writer = await WarmupFileWriter.create(path);
    writer.add(Buffer.from('other'), 0, 5, 0);
    await writer.flush();
    expect(await readAll()).toEqual(SOME);
    await writer.abandon();
    expect(await readAll()).toEqual(SOME);
    expect(readdirSync(directory)).toEqual(['keys']);
  });

  it('is written although an earlier attempt was killed', async () => {
    const writer = await WarmupFileWriter.create(path);
    const [temporary] = readdirSync(directory);
    await writer.abandon();
    writeFileSync(join(directory, temporary), 'incomplete');
    await write(SOME);
    expect(await readAll()).toEqual(SOME);
    expect(readdirSync(directory)).toEqual(['keys']);
  });

  it('is undefined if it does not exist', async () => {
    expect(await WarmupFile.open(path)).toBeUndefined();
  });

  it('is refused if any byte of it is missing or different', async () => {
    await write(SOME);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect([length, typeof (await problem())]).toEqual([length, 'string']);
    }
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] ^= 1 << (at % 8);
      writeFileSync(path, changed);
      expect([at, typeof (await problem())]).toEqual([at, 'string']);
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from('x')]));
    expect(await problem()).toBe('is incomplete or damaged');
  });

  it('is refused with the reason if it is empty, of another program, of another version, or a directory', async () => {
    const problemWith = (text: string): Promise<string | undefined> => (writeFileSync(path, text), problem());
    expect(await problemWith('')).toBe('was not written by this proxy');
    expect(await problemWith('{"keys":[]}')).toBe('was not written by this proxy');
    expect(await problemWith('redis-http-cache-proxy warm-up 2\nwhatever')).toBe('has an unknown version');
    expect(await problemWith('redis-http-cache-proxy warm-up 1\n')).toBe('is incomplete');
    rmSync(path);
    path = directory;
    expect(await problem()).toBe('is not a file');
  });

  it('throws nothing else for hostile bytes after a correct title', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(200), async (garbage) => {
        writeFileSync(path, Buffer.concat([Buffer.from('redis-http-cache-proxy warm-up 1\n'), garbage]));
        expect(typeof (await problem())).toBe('string');
      }),
      { numRuns: 100 },
    );
  });

  it('throws nothing else for hostile entries with a correct checksum, and has no more entries than bytes', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(200), fc.nat(2 ** 32 - 1), async (garbage, entries) => {
        const end = Buffer.alloc(8);
        end.writeUInt32LE(entries, 0);
        const body = Buffer.concat([Buffer.from('redis-http-cache-proxy warm-up 1\n'), garbage, end.subarray(0, 4)]);
        end.writeUInt32LE(crc32(body), 4);
        writeFileSync(path, Buffer.concat([body, end.subarray(4)]));
        const isPossible = entries <= garbage.length / 2;
        let file: WarmupFile | undefined;
        try {
          file = await WarmupFile.open(path);
          while ((await file?.read(3))?.length !== 0);
          expect(isPossible).toBe(true);
        } catch (error) {
          if (!(error instanceof WarmupFileError)) throw error;
        } finally {
          await file?.close();
        }
      }),
      {
        numRuns: 200,
        examples: [
          [Buffer.alloc(0), 0],
          [Buffer.from([0, 0]), 1],
          [Buffer.from([0, 0]), 2 ** 32 - 1],
        ],
      },
    );
  });
});

describe('the reason why a file cannot be written', () => {
  it('is undefined for a file and for a name in a directory', async () => {
    expect(await unwritableReason(path)).toBeUndefined();
    await write(SOME);
    expect(await unwritableReason(path)).toBeUndefined();
  });

  it('is the error of its directory, or that it is not a file', async () => {
    expect(await unwritableReason(join(path, 'keys'))).toBe('ENOENT');
    expect(await unwritableReason(directory)).toBe('not a file');
    await write(SOME);
    expect(await unwritableReason(join(path, 'keys'))).toBe('EACCES');
    expect(await unwritableReason('/proc/1/keys')).toMatch(/^E/);
  });

  it('is that it was not written by this proxy, whatever its setting says, and it stays as it is', async () => {
    for (const content of ['# all of the keys', 'r\n', 'redis-http-cache-proxy\n']) {
      writeFileSync(path, content);
      expect(await unwritableReason(path)).toBe('it was not written by this proxy');
      await expect(WarmupFileWriter.create(path)).rejects.toThrow('it was not written by this proxy');
      expect(readFileSync(path, 'latin1')).toBe(content);
    }
    for (const content of ['', 'redis-', 'redis-http-cache-proxy warm-up 9\nin another format']) {
      writeFileSync(path, content);
      expect(await unwritableReason(path)).toBeUndefined();
      await write(SOME);
    }
    expect(readdirSync(directory)).toEqual(['keys']);
  });
});
