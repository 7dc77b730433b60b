// Has no static imports, so that an old Node.js can still run it and report its version.
const NEEDED = 24;

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  await import('./start.ts');
} else {
  process.stderr.write(`Node.js ${NEEDED} or newer is needed, this is ${process.version}: see https://nodejs.org\n`);
  process.exitCode = 1;
}
