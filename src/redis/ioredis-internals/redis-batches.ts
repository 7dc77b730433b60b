import { InternalPart } from '../../internals/internal-part.ts';

/** Sends all reads of a tick as one ioredis command and decodes their replies in place of ioredis. */
export const redisBatches = new InternalPart('redis-batches');
