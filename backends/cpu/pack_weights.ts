import type { BlockDType } from "../../core/dtype.ts";
import { blockTensorBytes, packBlockRows } from "./pack_blocks.ts";
import { packWideRows, wideBytes } from "./pack_wide.ts";
import type { Queue } from "./queue.ts";
import type { CpuTensor } from "./tensor.ts";

/** Bytes of a packed tensor as it is held. */
export function packedBytes(dtype: BlockDType, shape: readonly number[]): number {
  return dtype === "q4_k" || dtype === "q6_k" ? wideBytes(dtype, shape) : blockTensorBytes(dtype, shape);
}

/** Writes whole rows as a GGUF file has them, `byteOffset` bytes into it, into the tensor as it is held. */
export function packRows(queue: Queue, tensor: CpuTensor, data: Uint8Array, byteOffset: number): void {
  if (tensor.dtype === "q4_k" || tensor.dtype === "q6_k") packWideRows(queue, tensor, data, byteOffset);
  else packBlockRows(queue, tensor, data, byteOffset);
  for (const copy of tensor.copies) copy.isCurrent = copy.arena === tensor.arena;
}
