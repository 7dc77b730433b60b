/**
 * Compares parsers with simple reference implementations on generated input: `npm run fuzz -- [cases] [seed] [name]` runs
 * this many cases of all properties, or of the named one. Exits with status 1 if there is a difference, shrunk to a minimal
 * input.
 */
import fc from 'fast-check';
import { anyPatterns, patternMatching, patternTime } from '../../src/access/key-pattern.spec-support.ts';
import { keyInTarget, percentDecoding } from '../../src/http/request/key-path.spec-support.ts';
import { mgetBody } from '../../src/http/mget/mget-request.spec-support.ts';
import { anyDirectives, directiveList } from '../../src/http/request/request-cache-control.spec-support.ts';
import { replyReading } from '../../src/redis/ioredis-internals/raw-reply-reader.spec-support.ts';
import { anyRequests } from '../../src/resp/protocol/request-streams.spec-support.ts';

const PROPERTIES: Readonly<Record<string, fc.IRawProperty<unknown>>> = {
  resp: anyRequests,
  'percent-decoding': percentDecoding,
  'key-path': keyInTarget,
  patterns: patternMatching,
  'any-patterns': anyPatterns,
  'pattern-time': patternTime,
  mget: mgetBody,
  directives: directiveList,
  'any-directives': anyDirectives,
  replies: replyReading,
};

const [numRuns = 100_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2, 4).map(Number);
const only = process.argv.at(4);

for (const [name, property] of Object.entries(PROPERTIES)) {
  if (only !== undefined && only !== name) continue;
  const started = performance.now();
  const result = await fc.check(property as fc.IRawProperty<[unknown]>, { numRuns, seed });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `${name}: ${result.numRuns} cases, seed ${seed}, ${seconds} s: ${result.failed ? 'a difference' : 'no difference'}`,
  );
  if (result.failed) {
    console.log(fc.defaultReportMessage(result));
    process.exitCode = 1;
  }
}
