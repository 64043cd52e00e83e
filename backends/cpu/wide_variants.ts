import type { DType } from "../../core/dtype.ts";
import { relaxedDot } from "./block_variants.ts";
import { DOT_PLAIN } from "./kernels/ops.ts";
import { linearWide } from "./linear_wide.ts";
import type { Memory } from "./memory.ts";
import type { Queue } from "./queue.ts";
import { CpuTensor } from "./tensor.ts";
import { heldBytes, readTensor, writeTensor } from "./transfer.ts";

/** How codes meet activations (DOT_* of `kernels/ops.ts`) where there are few rows and where there are many. */
export interface WideVariants {
  readonly rows: number;
  readonly tiles: number;
}

const PLAIN: WideVariants = { rows: DOT_PLAIN, tiles: DOT_PLAIN };

let chosen: WideVariants | null = null;

/** As for blocks of 32: the dot that suits the machine, if it gives the bits of the plain kernels. */
export function chooseWideVariants(isRelaxed: boolean, queue: Queue, memory: Memory): WideVariants {
  if (!isRelaxed) return PLAIN;
  return chosen ??= choose(queue, memory);
}

function choose(queue: Queue, memory: Memory): WideVariants {
  const dot = relaxedDot(queue, memory);
  const variants = { rows: dot, tiles: dot };
  for (const dtype of ["q4_k", "q6_k"] as const) {
    for (const R of [1, 5]) {
      const wanted = sample(queue, memory, PLAIN, dtype, R);
      const found = sample(queue, memory, variants, dtype, R);
      if (found.some((byte, i) => byte !== wanted[i])) return PLAIN;
    }
  }
  return variants;
}

/** A small product whose codes and scales take many values. */
function sample(
  queue: Queue,
  memory: Memory,
  variants: WideVariants,
  dtype: "q4_k" | "q6_k",
  R: number,
): Uint8Array {
  const [N, I] = [11, 256];
  const weight = tensorIn(memory, dtype, [N, I]);
  const x = tensorIn(memory, "f32", [R, I]);
  const out = tensorIn(memory, "f32", [R, N]);
  const rowBytes = weight.byteLength / N;
  const bytes = Uint8Array.from({ length: weight.byteLength }, (_, i) => i * 151 + (i >> 3));
  // f16 scales from 2^-7 to 2^-6.
  const scales = dtype === "q4_k" ? [1, 3] : [209];
  for (let at = 0; at < bytes.length; at += rowBytes) for (const scale of scales) bytes[at + scale] = 0x20;
  const values = Float32Array.from({ length: R * I }, (_, i) => ((i * 89) % 255) - 127);
  writeTensor(queue, weight, bytes, 0);
  writeTensor(queue, x, new Uint8Array(values.buffer), 0);
  linearWide(queue, variants, out, x, weight, null, 0);
  queue.flush();
  const found = readTensor(out, 0, out.byteLength);
  for (const tensor of [weight, x, out]) queue.drop(tensor);
  return found;
}

/** Memory that does not count as the model's. */
function tensorIn({ arenas: [arena] }: Memory, dtype: DType, shape: readonly number[]): CpuTensor {
  const bytes = heldBytes({ dtype, shape });
  const address = arena.alloc(bytes);
  if (address === null) throw new Error("a WebAssembly memory has no room for some numbers");
  return new CpuTensor({ dtype, shape }, bytes, arena, address);
}
