import type { Type } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { Schemas } from './operation-parts.ts';

/** The part of the OpenAPI document that describes one controller. */
interface ControllerDescription<Controller extends object> {
  readonly tag: string;
  /** All schemas that the operations refer to, by name. */
  readonly schemas: Schemas;
  /** The decorators of each handler; `undocumented` handlers are left out of the document. */
  readonly operations: Readonly<Record<keyof Controller, MethodDecorator | 'undocumented'>>;
}

/**
 * Decorates a controller for `@nestjs/swagger`, and returns its schemas. Controllers do not carry these decorators
 * themselves: worker threads would have to load `@nestjs/swagger`, although the document is made at build time.
 */
export function describeController<Controller extends object>(
  controller: Type<Controller>,
  { tag, schemas, operations }: ControllerDescription<Controller>,
): Schemas {
  ApiTags(tag)(controller);
  for (const [handler, decorator] of Object.entries<MethodDecorator | 'undocumented'>(operations)) {
    const method = Object.getOwnPropertyDescriptor(controller.prototype, handler);
    if (method === undefined) throw new Error(`${controller.name} has no handler ${handler}`);
    (decorator === 'undocumented' ? ApiExcludeEndpoint() : decorator)(controller.prototype as object, handler, method);
  }
  return schemas;
}
