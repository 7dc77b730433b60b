import { type Settings, launch } from './proxy.ts';

/** How a proxy that cannot start ends: its exit status, and what it has said. */
export async function refusal(
  settings: Settings,
  cwd: string,
): Promise<{ readonly code: number | null; readonly errors: readonly string[]; readonly output: string }> {
  const child = launch(settings, cwd);
  const deadline = setTimeout(() => child.signal('SIGKILL'), 10_000);
  const code = await child.exit;
  clearTimeout(deadline);
  return { code, errors: child.errors.split('\n').slice(0, -1), output: child.output };
}
