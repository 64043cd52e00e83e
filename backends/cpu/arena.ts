import {
  DECAY_CONSTANTS,
  EXP_CONSTANTS,
  F16_FACTOR,
  F16_MASK,
  FIRST_FREE,
  HALF_MASKS,
  HIGH_FIELDS_MASK,
  IMPORTANCE,
  LOW_FIELDS_MASK,
  NIBBLES_MASK,
  PAIR_ONES,
  POWER_CONSTANTS,
  SET_BITS,
} from "./kernels/ops.ts";
import { IMPORTANCE_TABLE } from "../../core/importance.ts";
import { DECAY_VALUES, EXP_VALUES, MASK_VALUES, POWER_VALUES } from "./constants.ts";

const PAGE_BYTES = 65536;
/** A 32-bit address reaches no further. */
export const MOST_PAGES = 65536;

/** Every block starts on a cache line. */
export const ALIGNMENT = 64;

interface Gap {
  at: number;
  bytes: number;
}

/** One shared WebAssembly memory and the blocks in it: first fit, neighbours joined when freed. */
export class Arena {
  readonly index: number;
  readonly memory: WebAssembly.Memory;
  /** Views of all of the memory; replaced when it grows. */
  ints: Int32Array;
  floats: Float32Array;
  bytes: Uint8Array;
  private readonly mostBytes: number;
  /** Ascending, never adjacent. */
  private readonly gaps: Gap[] = [];
  /** End of the last block: nothing from here on was ever used, and all of it is zero. */
  private end = FIRST_FREE;

  /** @param mostBytes how far it may grow */
  constructor(index: number, mostBytes: number) {
    this.index = index;
    this.mostBytes = Math.min(mostBytes, MOST_PAGES * PAGE_BYTES);
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.ints = new Int32Array(this.memory.buffer);
    this.floats = new Float32Array(this.memory.buffer);
    this.ints[NIBBLES_MASK / 4] = 0x0f0f0f0f;
    this.ints[F16_MASK / 4] = 0x8fffe000;
    this.floats[F16_FACTOR / 4] = 2 ** 112;
    this.floats.set(DECAY_VALUES, DECAY_CONSTANTS / 4);
    this.ints[LOW_FIELDS_MASK / 4] = 0x03030303;
    this.ints[HIGH_FIELDS_MASK / 4] = 0x0c0c0c0c;
    this.ints[PAIR_ONES / 4] = 0x00010001;
    this.ints.set(IMPORTANCE_TABLE, IMPORTANCE / 4);
    fillVectors(this.floats, EXP_CONSTANTS, EXP_VALUES);
    fillVectors(this.floats, POWER_CONSTANTS, POWER_VALUES);
    fillVectors(this.ints, HALF_MASKS, MASK_VALUES);
    for (let mask = 0; mask < 256; mask++) {
      let at = SET_BITS + mask * 8;
      for (let bit = 0; bit < 8; bit++) if ((mask >> bit) & 1) this.bytes[at++] = bit;
    }
  }

  /** Address of a zeroed block, or null where there is no room. */
  alloc(bytes: number): number | null {
    const size = rounded(bytes);
    const gap = this.gaps.findIndex((one) => one.bytes >= size);
    if (gap >= 0) {
      const { at } = this.gaps[gap];
      this.gaps[gap].at += size;
      this.gaps[gap].bytes -= size;
      if (this.gaps[gap].bytes === 0) this.gaps.splice(gap, 1);
      this.bytes.fill(0, at, at + size);
      return at;
    }
    if (this.end + size > this.mostBytes || !this.reach(this.end + size)) return null;
    const at = this.end;
    this.end += size;
    return at;
  }

  /** @param bytes as given to `alloc` */
  release(at: number, bytes: number): void {
    let size = rounded(bytes);
    const next = this.gaps.findIndex((gap) => gap.at > at);
    const place = next < 0 ? this.gaps.length : next;
    const before = this.gaps[place - 1];
    const after = this.gaps[place];
    let start = at;
    let count = 0;
    let first = place;
    if (before !== undefined && before.at + before.bytes === at) {
      start = before.at;
      size += before.bytes;
      first--;
      count++;
    }
    if (after !== undefined && at + rounded(bytes) === after.at) {
      size += after.bytes;
      count++;
    }
    this.gaps.splice(first, count, { at: start, bytes: size });
  }

  /** Bytes in blocks. */
  get used(): number {
    return this.end - FIRST_FREE - this.gaps.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes a single block could still have here. */
  get room(): number {
    const largest = this.gaps.reduce((most, { bytes }) => Math.max(most, bytes), 0);
    return Math.max(largest, this.mostBytes - this.end);
  }

  private reach(end: number): boolean {
    const missing = end - this.memory.buffer.byteLength;
    if (missing <= 0) return true;
    try {
      this.memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch (error) {
      if (error instanceof RangeError || error instanceof TypeError) return false;
      throw error;
    }
    this.bytes = new Uint8Array(this.memory.buffer);
    this.ints = new Int32Array(this.memory.buffer);
    this.floats = new Float32Array(this.memory.buffer);
    return true;
  }
}

export function rounded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Each value in the four lanes of a vector. */
function fillVectors(words: Int32Array | Float32Array, address: number, values: readonly number[]): void {
  values.forEach((value, i) => words.fill(value, address / 4 + 4 * i, address / 4 + 4 * i + 4));
}
