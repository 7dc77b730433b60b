import type { Redis } from 'ioredis';

/** The parts of an OpenAPI document that the tests use. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
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
  readonly security?: readonly object[];
  readonly requestBody?: { readonly content?: ApiResponse['content'] };
  readonly responses: Readonly<Record<string, ApiResponse>>;
}

export interface ApiResponse {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly example?: string; readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, ApiContent>>;
}

export interface ApiContent {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, unknown>>;
}

export type Schema = ObjectSchema | { readonly $ref: string };

export interface ObjectSchema {
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, unknown>>;
  /** Schema of the elements of an array. */
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

interface DemoData {
  readonly demoKeys: readonly { readonly key: string; readonly value?: unknown; readonly json?: unknown }[];
  readonly seedDemoKeys: (redis: Redis) => Promise<void>;
}

const demoData = new URL('../../deploy/demo/keys.mjs', import.meta.url).href;

/** Keys of the demonstration and a function that writes them. */
export const { demoKeys, seedDemoKeys } = (await import(demoData)) as DemoData;
