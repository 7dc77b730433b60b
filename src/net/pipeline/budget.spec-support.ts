import type { BufferAccounting } from '../buffer-accounting.ts';

/** An accounting with a fixed limit. */
export class Budget implements BufferAccounting {
  readonly holders = new Map<ArrayBufferLike, number>();
  left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }

  get hasRoom(): boolean {
    return this.left > 0;
  }

  tryHold(memory: ArrayBufferLike): boolean {
    if (!this.holders.has(memory) && this.left < memory.byteLength) return false;
    this.hold(memory);
    return true;
  }

  hold(memory: ArrayBufferLike): void {
    const count = this.holders.get(memory) ?? 0;
    if (count === 0) this.left -= memory.byteLength;
    this.holders.set(memory, count + 1);
  }

  release(memory: ArrayBufferLike): void {
    const count = this.holders.get(memory) ?? 0;
    if (count === 0) throw new Error('released memory without a holder');
    if (count > 1) return void this.holders.set(memory, count - 1);
    this.holders.delete(memory);
    this.left += memory.byteLength;
  }
}
