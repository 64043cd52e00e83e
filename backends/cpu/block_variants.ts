import type { BlockDType, DType } from "../../core/dtype.ts";
import { DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32, PROBE_DOT } from "./kernels/ops.ts";
import { linearBlocks } from "./linear_blocks.ts";
import type { Memory } from "./memory.ts";
import type { Queue } from "./queue.ts";
import { CpuTensor } from "./tensor.ts";
import { heldBytes, readTensor, writeTensor } from "./transfer.ts";

/** How nibbles meet activations (DOT_* of `kernels/ops.ts`) in the matrix-vector and the matrix-matrix kernels. */
export interface BlockVariants {
  readonly vector: number;
  readonly matrix: number;
}

export const PLAIN: BlockVariants = { vector: DOT_PLAIN, matrix: DOT_PLAIN };

/** What the probe gives where a dot is made of pairs that saturate at 16 bits: pmaddubsw and what must follow it. */
const SATURATED = 2 * 32767;

let chosen: BlockVariants | null = null;
let fastest: number | null = null;

/**
 * The relaxed i32 dot is one instruction on newer machines and five on others, where the i16 one, two instructions, wins. A
 * probe tells them apart in no time, as sure as a timing would not be. An engine whose relaxed dots are not near
 * the plain kernels' results gets these.
 */
export function chooseBlockVariants(isRelaxed: boolean, queue: Queue, memory: Memory): BlockVariants {
  if (!isRelaxed) return PLAIN;
  return chosen ??= choose(queue, memory);
}

function choose(queue: Queue, memory: Memory): BlockVariants {
  const dot = relaxedDot(queue, memory);
  const variants = { vector: dot, matrix: dot };
  for (const dtype of ["q4_0", "q4_1"] as const) {
    for (const R of [1, 5]) {
      const wanted = sample(queue, memory, PLAIN, dtype, R);
      const found = sample(queue, memory, variants, dtype, R);
      if (!isNear(found, wanted)) return PLAIN;
    }
  }
  return variants;
}

/** The relaxed dot that is the faster one on this machine. */
export function relaxedDot(queue: Queue, memory: Memory): number {
  return fastest ??= probe(queue, memory) === SATURATED ? DOT_RELAXED_16 : DOT_RELAXED_32;
}

/** The dot of four codes 127 and four weights 255. */
export function probe(queue: Queue, memory: Memory): number {
  const room = tensorIn(memory, "u8", [64]);
  const { arena, address } = room.current;
  arena.bytes.fill(127, address, address + 16);
  arena.bytes.fill(255, address + 16, address + 32);
  queue.begin(PROBE_DOT, arena);
  queue.int(address + 32);
  queue.int(address);
  queue.int(address + 16);
  queue.flush();
  const found = arena.ints[(address + 32) >>> 2];
  queue.drop(room);
  return found;
}

/** Whether two products differ by no more than the rounding to 16 bits. */
function isNear(found: Float32Array, wanted: Float32Array): boolean {
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return found.every((value, i) => Math.abs(value - wanted[i]) < 1e-3 * largest);
}

/** A small product whose codes and scales take many values. */
function sample(
  queue: Queue,
  memory: Memory,
  variants: BlockVariants,
  dtype: BlockDType,
  R: number,
): Float32Array {
  const [N, I] = [11, 64];
  const weight = tensorIn(memory, dtype, [N, I]);
  const x = tensorIn(memory, "f32", [R, I]);
  const out = tensorIn(memory, "f32", [R, N]);
  const blockBytes = weight.byteLength / (N * (I / 32));
  const bytes = Uint8Array.from({ length: weight.byteLength }, (_, i) => i * 151 + (i >> 3));
  // f16 scales and minima from 2^-7 to 2^-6.
  for (let at = 1; at < bytes.length; at += blockBytes) {
    bytes[at] = bytes[at + 2 * (blockBytes === 20 ? 1 : 0)] = 0x20;
  }
  // Each block has a 127, so that 8 bits hold its integers as they are.
  const values = Float32Array.from(
    { length: R * I },
    (_, i) => (i % 32 === 0 ? 127 : ((i * 89) % 255) - 127),
  );
  writeTensor(queue, weight, bytes, 0);
  writeTensor(queue, x, new Uint8Array(values.buffer), 0);
  linearBlocks(queue, variants, out, x, weight, null, 0);
  queue.flush();
  const found = readTensor(out, 0, out.byteLength);
  for (const tensor of [weight, x, out]) queue.drop(tensor);
  return new Float32Array(found.slice().buffer);
}

/** Memory that does not count as the model's, which may be given as little as it likes. */
function tensorIn({ arenas: [arena] }: Memory, dtype: DType, shape: readonly number[]): CpuTensor {
  const bytes = heldBytes({ dtype, shape });
  const address = arena.alloc(bytes);
  if (address === null) throw new Error("a WebAssembly memory has no room for some numbers");
  return new CpuTensor({ dtype, shape }, bytes, arena, address);
}
