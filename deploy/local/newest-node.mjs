import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The release lines of Node.js on which the contract of the protocols is tested, each in its newest version. */
export const NODE_LINES = [24, 26];

/** The folder that the newest Node.js of a line is installed in; it goes with node_modules. */
export function newestNodeFolder(line) {
  return join(import.meta.dirname, '../../node_modules/.cache/newest-node', String(line));
}

/** The path of the newest Node.js of a line; undefined if it has not been installed. */
export function newestNode(line) {
  const name = `node-${process.platform}-${process.arch}`;
  const path = join(newestNodeFolder(line), 'node_modules', name, 'bin', 'node');
  return existsSync(path) ? path : undefined;
}
