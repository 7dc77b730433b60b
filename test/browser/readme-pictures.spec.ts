import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

const ROOT = new URL('../../', import.meta.url);
const MAX_BYTES = 300_000;
const PNG = '89504e470d0a1a0a';

it('the images in README exist and are small', () => {
  const readme = readFileSync(new URL('README.md', ROOT), 'utf8');
  const images = [...readme.matchAll(/!\[[^\]]+\]\((docs\/images\/[^)]+\.png)\)/g)].map(([, path]) => path);
  expect(images).toEqual(['docs/images/dashboard.png', 'docs/images/api.png']);
  for (const path of images) {
    const bytes = readFileSync(new URL(path, ROOT));
    expect([path, bytes.subarray(0, 8).toString('hex')]).toEqual([path, PNG]);
    expect(bytes.length).toBeLessThan(MAX_BYTES);
  }
});
