/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

/** An object of the Kubernetes API, with the common fields. */
export interface Manifest extends JsonObject {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
}

export interface Metadata extends JsonObject {
  name: string;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All objects within a value, itself included, each with the name it stands under. */
export function* objectsIn(value: Json, name = ''): Generator<readonly [name: string, object: JsonObject]> {
  if (Array.isArray(value)) for (const item of value) yield* objectsIn(item, name);
  else if (isObject(value)) {
    yield [name, value];
    for (const [field, child] of Object.entries(value)) yield* objectsIn(child, field);
  }
}
