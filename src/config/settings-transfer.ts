import { Secret } from './secret.ts';
import type { Settings } from './settings.ts';

/** Settings in a form that can be posted to another thread; structured cloning would drop the class of secrets. */
export type PackedSettings = { readonly packed: unknown };

export function packSettings(settings: Settings): PackedSettings {
  return { packed: pack(settings) };
}

export function unpackSettings({ packed }: PackedSettings): Settings {
  return unpack(packed) as Settings;
}

function pack(value: unknown): unknown {
  if (value instanceof Secret) return { secret: value.reveal() };
  if (Array.isArray(value)) return value.map(pack);
  return isObject(value) ? mapValues(value, pack) : value;
}

function unpack(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(unpack));
  if (!isObject(value)) return value;
  return typeof value.secret === 'string' ? new Secret(value.secret) : Object.freeze(mapValues(value, unpack));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function mapValues(value: Readonly<Record<string, unknown>>, map: (part: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, map(part)]));
}
