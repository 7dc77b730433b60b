import type { EntryId } from './cache-types.ts';
import { hashKey } from './index/hash.ts';
import {
  BLOCK_BYTES,
  Header,
  HeaderFloat,
  INLINE_BYTES,
  LruMemory,
  MISSING,
  NODE_WORDS,
  NONE,
  NOT_FIRST,
  Node,
  QUERY_NODE_WORDS,
  QueryNode,
  RING_TOUCHES,
  RING_WORDS,
  Ring,
  SLOT_BYTES,
  SLOT_INLINE_AT,
  SLOT_WORDS,
  STATE_MASK,
  Slot,
  State,
  TOUCH_WORDS,
  Touch,
} from './memory/layout.ts';

/** Contents of one slot, read from the raw memory. */
interface RawItem {
  readonly slot: number;
  readonly state: number;
  readonly version: number;
  /** The lease that will replace an entry, or the entry that a lease will replace; NONE if absent. */
  readonly linked: number;
  readonly id: Buffer;
  /** Bytes of the selector, at the end of the id. */
  readonly selectorLength: number;
  /** Bytes of the value written so far; {@link MISSING} in a negative entry. */
  readonly valueBytes: number;
  readonly blocks: readonly number[];
}

/** Returns the entries by {@link nameOf}, most recently used first, also by touches that are not drained yet. */
export function entriesByRecency(buffer: SharedArrayBuffer): string[] {
  const memory = new LruMemory(buffer);
  const listed = walkList(memory, 'recency', Header.RECENCY_HEAD, Header.RECENCY_TAIL);
  const touched = touches(memory)
    .filter(({ slot, version }) => listed.includes(slot) && memory.slots[slot * SLOT_WORDS + Slot.VERSION] === version)
    .map(({ slot }) => slot)
    .reverse();
  return [...new Set([...touched, ...listed])].map((slot) => nameOf(rawItem(memory, slot)));
}

/** Returns an id as a binary string, which starts with the length of its selector if it has one. */
export function nameOf({ id, selectorLength }: EntryId): string {
  const name = Buffer.from(id).toString('latin1');
  return selectorLength === 0 ? name : `${selectorLength} at the end of ${name}`;
}

/** Returns the key of an id. */
export function keyOf({ id, selectorLength }: EntryId): Buffer {
  return Buffer.from(id.subarray(0, id.length - selectorLength));
}

/** Returns the touches in all rings, oldest first. */
function touches({ rings, ringFloats }: LruMemory) {
  const found: { slot: number; version: number; time: number }[] = [];
  for (let ring = 0; ring < rings.length; ring += RING_WORDS) {
    const held = rings[ring + Ring.HEAD] - rings[ring + Ring.TAIL];
    ensure(held >= 0 && held <= RING_TOUCHES, () => `ring ${ring / RING_WORDS} holds ${held} touches`);
    for (let i = 0; i < held; i++) {
      const at = ring + Ring.TOUCHES + ((rings[ring + Ring.TAIL] + i) % RING_TOUCHES) * TOUCH_WORDS;
      const [slot, version] = [rings[at + Touch.SLOT], rings[at + Touch.VERSION]];
      found.push({ slot, version, time: ringFloats[(at + Touch.TIME) / 2] });
    }
  }
  return found.sort((a, b) => a.time - b.time);
}

/**
 * Throws if the memory of an idle cache is inconsistent. Reads the layout independently, sharing
 * only the offsets with the tested code.
 */
export function checkInvariants(buffer: SharedArrayBuffer): void {
  const memory = new LruMemory(buffer);
  const { header, headerFloats, limits } = memory;
  ensure(Atomics.load(header, Header.LOCK) === 0, () => `the lock is held by ${header[Header.LOCK]}`);

  const entries = walkList(memory, 'recency', Header.RECENCY_HEAD, Header.RECENCY_TAIL).map((s) => rawItem(memory, s));
  const leases = walkList(memory, 'leases', Header.LEASE_HEAD, Header.LEASE_TAIL).map((s) => rawItem(memory, s));
  const unread = header[Header.UNREAD_HEAD];
  ensure(unread === NONE || entries.some(({ slot }) => slot === unread), () => `slot ${unread} is no entry`);
  for (const { slot, state, version } of entries) {
    equal(state, State.ENTRY, () => `state of slot ${slot}, listed as an entry`);
    equal(version & 1, 1, () => `lowest bit of the version of slot ${slot}, an entry`);
  }
  for (const { slot, version } of leases)
    equal(version & 1, 0, () => `lowest bit of the version of slot ${slot}, a lease`);
  const open = leases.filter(({ state }) => state !== State.SETTLED);
  for (const { slot, state } of open) equal(state, State.LEASE, () => `state of slot ${slot}, listed as a lease`);

  checkSlots(memory, entries, leases);
  checkBlocks(memory, entries, leases);
  // An ended lease is kept for its waiters and is not in the index.
  const alone = open.filter(({ linked }) => linked === NONE);
  checkIndex(memory, [...entries, ...alone]);
  checkQueryLists(memory, [...entries, ...alone]);
  checkLinks(entries, open);

  equal(header[Header.COUNT], entries.length, () => 'entries counted, against entries listed');
  equal(header[Header.LEASE_COUNT], leases.length, () => 'leases counted, against leases listed');
  equal(header[Header.LEASE_BLOCKS], sum(leases.map(idBlocks)), () => 'blocks counted for the ids of leases');
  // A lease is charged from the first byte of its value.
  const charged = [...entries, ...open.filter(({ valueBytes }) => valueBytes > 0)];
  equal(headerFloats[HeaderFloat.BYTES], sum(charged.map(itemBytes)), () => 'bytes counted, against bytes stored');
  ensure(entries.length <= limits.capacity, () => `${entries.length} entries, capacity is ${limits.capacity}`);
  ensure(leases.length <= limits.maxLeases, () => `${leases.length} leases, the most is ${limits.maxLeases}`);
  const bytes = headerFloats[HeaderFloat.BYTES];
  ensure(bytes <= limits.maxBytes, () => `${bytes} bytes, the most is ${limits.maxBytes}`);
}

/** Checks that every slot below the high-water mark is exactly one of entry, lease or free. */
function checkSlots({ header, nodes, slots, limits }: LruMemory, entries: RawItem[], leases: RawItem[]): void {
  const mark = header[Header.SLOT_HIGH_WATER];
  const all = limits.capacity + limits.maxLeases;
  ensure(mark >= 0 && mark <= all, () => `the mark of slots is ${mark}, there are ${all}`);
  const uses = new Uses('slot', mark);
  for (const { slot } of entries) uses.add(slot, 'an entry');
  for (const { slot } of leases) uses.add(slot, 'a lease');
  for (let slot = header[Header.FREE_SLOT]; slot !== NONE; slot = nodes[slot * NODE_WORDS + Node.NEXT]) {
    uses.add(slot, 'free');
    const { [slot * SLOT_WORDS + Slot.STATE]: state } = slots;
    equal(state & STATE_MASK, State.FREE, () => `state of slot ${slot}, in the free list`);
    equal(slots[slot * SLOT_WORDS + Slot.VERSION] & 1, 0, () => `lowest bit of the version of slot ${slot}, free`);
  }
  uses.checkAllUsed();
}

/** Checks that every block below the high-water mark belongs to one item or is free. */
function checkBlocks({ header, links }: LruMemory, entries: RawItem[], leases: RawItem[]): void {
  const mark = header[Header.BLOCK_HIGH_WATER];
  ensure(mark >= 0 && mark < links.length, () => `the mark of blocks is ${mark}, there are ${links.length - 1}`);
  const uses = new Uses('block', mark);
  for (const { slot, blocks } of [...entries, ...leases]) {
    for (const block of blocks) uses.add(block, `of slot ${slot}`);
  }
  for (let block = header[Header.FREE_BLOCK]; block !== NONE; block = links[block]) uses.add(block, 'free');
  uses.checkAllUsed();
}

/** Checks that every item is in the chain of its id's bucket, and nothing else is in a chain. */
function checkIndex({ header, buckets, nodes }: LruMemory, items: RawItem[]): void {
  const names = new Set(items.map(nameOf));
  equal(names.size, items.length, () => 'ids that differ, against items');
  const expected = new Map<number, RawItem>(items.map((item) => [item.slot, item]));
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    for (let slot = buckets[bucket]; slot !== NONE; slot = nodes[slot * NODE_WORDS + Node.CHAIN]) {
      const item = expected.get(slot);
      if (item === undefined) throw new Error(`bucket ${bucket} leads to slot ${slot}: twice, or to no item`);
      expected.delete(slot);
      const hash = hashKey(item.id, header[Header.SEED_0], header[Header.SEED_1]) ^ item.selectorLength;
      equal(nodes[slot * NODE_WORDS + Node.HASH], hash, () => `hash of slot ${slot}`);
      equal(bucket, hash & (buckets.length - 1), () => `bucket of slot ${slot}`);
    }
  }
  ensure(expected.size === 0, () => `slots ${[...expected.keys()].join(', ')} are in no bucket`);
}

/**
 * Checks that every item with a selector is in the list of its key, with ascending serial numbers, and nothing else is in a
 * list; and that the buckets are empty if no query was inserted since the last flush.
 */
function checkQueryLists(memory: LruMemory, items: RawItem[]): void {
  const { header, headerFloats, queryBuckets, queryNodes, queryNodeFloats } = memory;
  const latest = headerFloats[HeaderFloat.QUERY_SERIAL];
  ensure(Number.isSafeInteger(latest) && latest >= 0, () => `the serial number of queries is ${latest}`);
  const expected = new Map(items.filter((item) => item.selectorLength > 0).map((item) => [item.slot, item]));
  if (latest === 0) {
    equal(expected.size, 0, () => 'queries without serial numbers');
    equal(Math.max(...queryBuckets), NONE, () => 'the largest slot in the buckets of queries, of which there are none');
    return;
  }
  const keys = new Set<string>();
  const field = (slot: number, name: keyof typeof QueryNode): number =>
    queryNodes[slot * QUERY_NODE_WORDS + QueryNode[name]];
  for (let bucket = 0; bucket < queryBuckets.length; bucket++) {
    for (let first = queryBuckets[bucket]; first !== NONE; first = field(first, 'CHAIN')) {
      const head = expected.get(first);
      if (head === undefined) throw new Error(`query bucket ${bucket} leads to slot ${first}: twice, or to no query`);
      const key = keyOf(head);
      const hash = hashKey(key, header[Header.SEED_0], header[Header.SEED_1]);
      equal(field(first, 'KEY_HASH'), hash, () => `hash of the key of slot ${first}`);
      equal(bucket, hash & (queryBuckets.length - 1), () => `query bucket of slot ${first}`);
      ensure(!keys.has(key.toString('latin1')), () => `slot ${first} starts another list of its key`);
      keys.add(key.toString('latin1'));
      let [slot, serial] = [first, 0];
      do {
        const item = expected.get(slot);
        if (item === undefined)
          throw new Error(`the list of slot ${first} leads to slot ${slot}: twice, or to no query`);
        expected.delete(slot);
        ensure(keyOf(item).equals(key), () => `keys of slots ${slot} and ${first}, in one list, are the same`);
        equal(field(field(slot, 'NEXT'), 'PREVIOUS'), slot, () => `what is before the slot after slot ${slot}`);
        if (slot !== first) equal(field(slot, 'CHAIN'), NOT_FIRST, () => `chain of slot ${slot}`);
        const own = queryNodeFloats[(slot * QUERY_NODE_WORDS + QueryNode.SERIAL) / 2];
        ensure(own > serial && own <= latest, () => `slot ${slot} has serial number ${own} after ${serial}`);
        [slot, serial] = [field(slot, 'NEXT'), own];
      } while (slot !== first);
    }
  }
  ensure(expected.size === 0, () => `slots ${[...expected.keys()].join(', ')} are in no list of queries`);
}

/** Checks that entry and lease of an id are linked, and that the lease has no value yet. */
function checkLinks(entries: RawItem[], leases: RawItem[]): void {
  const bySlot = new Map([...entries, ...leases].map((item) => [item.slot, item]));
  for (const item of bySlot.values()) {
    if (item.linked === NONE) continue;
    const other = bySlot.get(item.linked);
    if (other === undefined) throw new Error(`slot ${item.slot} is linked with ${item.linked}, which is no item`);
    equal(other.linked, item.slot, () => `what slot ${other.slot} is linked with`);
    ensure(other.state !== item.state, () => `slots ${item.slot} and ${other.slot} are linked, both ${item.state}`);
    ensure(nameOf(other) === nameOf(item), () => `ids of slots ${item.slot} and ${other.slot}, linked, are the same`);
    if (item.state === State.LEASE) equal(item.valueBytes, 0, () => `bytes of the value of linked lease ${item.slot}`);
  }
}

function walkList({ header, nodes, limits }: LruMemory, name: string, head: number, tail: number): number[] {
  const members: number[] = [];
  let previous: number = NONE;
  for (let slot = header[head]; slot !== NONE; slot = nodes[slot * NODE_WORDS + Node.NEXT]) {
    equal(nodes[slot * NODE_WORDS + Node.PREVIOUS], previous, () => `${name}: what is before slot ${slot}`);
    members.push(slot);
    ensure(members.length <= limits.capacity + limits.maxLeases, () => `${name}: the list goes in circles`);
    previous = slot;
  }
  equal(header[tail], previous, () => `${name}: the tail`);
  return members;
}

function rawItem(memory: LruMemory, slot: number): RawItem {
  const at = slot * SLOT_WORDS;
  const lengths = memory.slots[at + Slot.ID_LENGTHS];
  const [idLength, selectorLength] = [lengths & 0x1ffff, lengths >> 17];
  const valueBytes = memory.slots[at + Slot.VALUE_BYTES];
  ensure(
    selectorLength >= 0 && selectorLength <= idLength && valueBytes >= MISSING,
    () => `slot ${slot} has lengths ${lengths} and ${valueBytes}`,
  );
  const length = Math.ceil(idLength / 8) * 8 + Math.max(0, valueBytes);
  const blocks: number[] = [];
  let block = memory.slots[at + Slot.FIRST_BLOCK];
  for (let held = INLINE_BYTES; held < length; held += BLOCK_BYTES) {
    ensure(
      block > NONE && block < memory.links.length,
      () => `slot ${slot} leads to block ${block}, which does not exist`,
    );
    blocks.push(block);
    block = memory.links[block];
  }
  const parts = [memory.slotBytes.subarray(slot * SLOT_BYTES + SLOT_INLINE_AT, (slot + 1) * SLOT_BYTES)];
  for (let i = 0; i * BLOCK_BYTES < idLength - INLINE_BYTES; i++) {
    parts.push(memory.blockBytes.subarray(blocks[i] * BLOCK_BYTES, (blocks[i] + 1) * BLOCK_BYTES));
  }
  const id = Buffer.concat(parts).subarray(0, idLength);
  const state = memory.slots[at + Slot.STATE] & STATE_MASK;
  const linked =
    state === State.ENTRY ? (memory.slots[at + Slot.STATE] << 4) >>> 6 : memory.slots[at + Slot.LEASE_ENTRY];
  const version = memory.slots[at + Slot.VERSION];
  return { slot, state, version, linked, id, selectorLength, valueBytes, blocks };
}

function itemBytes({ id, valueBytes }: RawItem): number {
  return id.length + Math.max(0, valueBytes);
}

function idBlocks({ id }: RawItem): number {
  return Math.max(0, Math.ceil((id.length - INLINE_BYTES) / BLOCK_BYTES));
}

/** Records the user of each member 1 to `mark` of a table. */
class Uses {
  readonly #what: string;
  readonly #uses: (string | undefined)[];

  constructor(what: string, mark: number) {
    this.#what = what;
    this.#uses = new Array<string | undefined>(mark).fill(undefined);
  }

  add(member: number, use: string): void {
    const { length } = this.#uses;
    ensure(member >= 1 && member <= length, () => `${this.#what} ${member}, ${use}, is beyond the mark ${length}`);
    const other = this.#uses[member - 1];
    ensure(other === undefined, () => `${this.#what} ${member} is ${other}, and is ${use}`);
    this.#uses[member - 1] = use;
  }

  checkAllUsed(): void {
    const lost = this.#uses.indexOf(undefined) + 1;
    ensure(lost === 0, () => `${this.#what} ${lost} is lost: in use by nothing, and not free`);
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Accepts the message as a function, because the checks run millions of times and rarely fail. */
function ensure(holds: boolean, message: () => string): void {
  if (!holds) throw new Error(`shared memory is inconsistent: ${message()}`);
}

function equal(actual: number, expected: number, what: () => string): void {
  ensure(actual === expected, () => `${what()} is ${actual}, and should be ${expected}`);
}
