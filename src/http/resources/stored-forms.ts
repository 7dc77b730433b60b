import { Buffer } from 'node:buffer';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { Rendered, StoredForm } from '../../redis/query.ts';
import { BufferFull, TOO_LARGE } from '../../redis/redis-reply.ts';
import { BULK, INTEGER, ReplyCursor } from '../../replies/reply-cursor.ts';
import { LAYOUTS, ResourceJson } from './resource-json.ts';

/** Upper bound for the JSON that is made of a reply: control characters are six times as long in it. */
export const MAX_JSON_BYTES = 16 * 1024 * 1024;
/** Bytes of a reply after which rendering yields to the event loop. */
const STEP_BYTES = 256 * 1024;

/** Stores an array of strings as a JSON array. */
export const JSON_ARRAY = jsonForm(1, (reply) => ResourceJson.of(reply, LAYOUTS.array));

/** Stores fields and values as a JSON object, or as an array of `{"field":…,"value":…}` if the name of a field is not UTF-8. */
export const JSON_FIELDS = jsonForm(2, (reply) => ResourceJson.ofFields(reply, STEP_BYTES));

/** Stores members and scores as an array of `{"member":…,"score":…}`. */
export const JSON_SCORES = jsonForm(3, (reply) => ResourceJson.of(reply, LAYOUTS.scored));

/** Stores the bytes of a string; a null is what does not exist. */
export const STRING_BYTES: StoredForm = {
  id: 4,
  render: (reply) => {
    const cursor = elementOf(reply, BULK);
    return cursor.isNull ? undefined : cursor.value();
  },
};

/** Stores no bytes for 1; 0 is what does not exist. */
export const NO_BYTES_IF_ONE: StoredForm = {
  id: 5,
  render: (reply) => (elementOf(reply, INTEGER).value().toString('latin1') === '1' ? Buffer.alloc(0) : undefined),
};

/** Makes JSON of a reply, in steps if that takes long. */
type JsonOf = (reply: Buffer) => ResourceJson | Generator<undefined, ResourceJson>;

function jsonForm(id: number, jsonOf: JsonOf): StoredForm {
  return {
    id,
    render: (reply, memory) => {
      const steps = renderingSteps(jsonOf(reply), memory);
      const { done, value } = steps.next();
      return done === true ? value : finish(steps);
    },
  };
}

function* renderingSteps(
  steps: ReturnType<JsonOf>,
  memory: Parameters<StoredForm['render']>[1],
): Generator<undefined, Rendered> {
  const json = steps instanceof ResourceJson ? steps : yield* steps;
  const bytes = yield* json.measure(MAX_JSON_BYTES, STEP_BYTES);
  if (bytes > MAX_JSON_BYTES) return TOO_LARGE;
  const target = memory.allocate(bytes);
  if (target === undefined) return new BufferFull(bytes);
  yield* json.write(target, STEP_BYTES);
  return target;
}

async function finish(steps: Generator<undefined, Rendered>): Promise<Rendered> {
  for (;;) {
    await yieldToEventLoop();
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Returns a cursor at the only element of a reply. */
function elementOf(reply: Buffer, type: number): ReplyCursor {
  const cursor = new ReplyCursor();
  cursor.start(reply);
  cursor.next();
  if (cursor.type !== type) throw new Error('the reply of Redis has an unexpected type');
  return cursor;
}
