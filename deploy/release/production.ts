type Entry = Readonly<Record<string, unknown>>;

/** What is read of a package-lock.json. */
export interface Lock {
  readonly packages: Readonly<Record<string, Entry>>;
}

/** A lock file without what only development needs, nor what a production dependency can do without. */
export function productionLock(lock: Lock): Lock {
  const entries = Object.entries(lock.packages).filter(
    ([, { dev, devOptional, optional }]) => dev !== true && devOptional !== true && optional !== true,
  );
  const [[, root], ...others] = entries;
  return { ...lock, packages: Object.fromEntries([['', productionManifest(root)], ...others]) };
}

export function productionManifest<Manifest extends Entry>(manifest: Manifest): Manifest {
  return { ...manifest, devDependencies: undefined };
}
