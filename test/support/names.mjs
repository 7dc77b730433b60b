/**
 * Part of what is preloaded into a proxy under test: names that are resolved by a file that the test writes, with lines
 * as in /etc/hosts. All others are the system's, whose own file is not the test's to change.
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import process from 'node:process';

const file = process.env.TEST_HOSTS_FILE;

if (file !== undefined) {
  const { lookup } = dns;
  dns.lookup = (name, options, callback) => {
    const address = addressOf(name);
    if (address === undefined) lookup(name, options, callback);
    else if (options.all) setImmediate(callback, null, [{ address, family: 4 }]);
    else setImmediate(callback, null, address, 4);
  };
}

function addressOf(wanted) {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.map((line) => line.split(' ')).find(([, name]) => name === wanted)?.[0];
}
