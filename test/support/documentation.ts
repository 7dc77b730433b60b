import type { Redis } from 'ioredis';

/** What the tests use of an OpenAPI document. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, ObjectSchema>> };
}

export interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly schema: { readonly example?: unknown };
    readonly examples?: Readonly<Record<string, { readonly value: string }>>;
  }[];
  readonly responses: Readonly<Record<string, ApiResponse>>;
}

export interface ApiResponse {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly example?: string }>>;
  readonly content?: Readonly<Record<string, ApiContent>>;
}

export interface ApiContent {
  readonly schema: ObjectSchema | { readonly $ref: string };
  readonly examples?: Readonly<Record<string, unknown>>;
}

export interface ObjectSchema {
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, unknown>>;
  /** Of an array. */
  readonly items?: { readonly oneOf: readonly ObjectSchema[] };
}

interface DemoData {
  readonly demoKeys: readonly { readonly key: string; readonly value: string | Uint8Array | readonly string[] }[];
  readonly seedDemoKeys: (redis: Redis) => Promise<void>;
}

const demoData = new URL('../../deploy/demo/keys.mjs', import.meta.url).href;

/** What the demonstrations put into their Redis. */
export const { demoKeys, seedDemoKeys } = (await import(demoData)) as DemoData;
