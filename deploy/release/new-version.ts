/** The changelog when this version comes out: what was unreleased is in it. A version before it leaves it as it is. */
export function changelogWith(changelog: string, version: string, date: string): string {
  if (version.includes('-')) return changelog;
  const [, unreleased] = /^## Unreleased\n([^]*?)(?=^## |$(?![^]))/m.exec(changelog) ?? [];
  if (unreleased === undefined || unreleased.trim() === '') {
    throw new Error('CHANGELOG.md: has nothing under "## Unreleased"');
  }
  return changelog.replace('## Unreleased\n', () => `## Unreleased\n\n## ${version} - ${date}\n`);
}

/** A kustomization that has pods run the image of this version. */
export function kustomizationWith(kustomization: string, version: string): string {
  const line = /^( +newTag: ).+$/m;
  if (!line.test(kustomization)) throw new Error('the kustomization names no version of the image');
  return kustomization.replace(line, (_, before: string) => before + version);
}
