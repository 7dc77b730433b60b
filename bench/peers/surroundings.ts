import { cpus, release } from 'node:os';
import type { Case } from './cases.ts';
import type { Contestant } from './contestant.ts';
import { debianVersion } from './contestants/debian-version.ts';
import type { Cores } from './cores.ts';
import type { Effort } from './measure.ts';

/** The environment of a run, which its figures depend on. */
export interface Surroundings extends Effort {
  readonly siblings: boolean;
  /** The machine, versions and settings, in Markdown. */
  readonly text: string;
}

export function surroundings(cases: readonly Case[], cores: Cores, effort: Effort): Surroundings {
  const contestants = new Map<string, Contestant>();
  for (const { entries } of cases) {
    for (const { contestant } of entries) {
      if (contestant.absent() === undefined && !contestants.has(contestant.name)) {
        contestants.set(contestant.name, contestant);
      }
    }
  }
  const lines = [...contestants.values()].map(
    ({ name, settings, version }) => `| ${name} | ${version()} | ${settings} |`,
  );
  const text = `## Machine and settings

${cpus()[0].model}, ${cpus().length} cores, Linux ${release()}; everything on loopback. Generators: wrk
${debianVersion('wrk')} (\`-t1 -c64\`), redis-benchmark ${debianVersion('redis-tools')} (\`-c 64\`), and for latency one
of this benchmark's own.

| | version | settings |
| --- | --- | --- |
${lines.join('\n')}`;
  return { ...effort, siblings: cores.siblings, text };
}
