import { InternalPart } from '../../internals/internal-part.ts';

/** All reads of a tick are one command to ioredis, and their replies are taken before it decodes them. */
export const redisBatches = new InternalPart('redis-batches');
