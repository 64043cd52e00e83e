import type { TensorSpec } from "../../core/backend.ts";
import { bytesOf, isBlockDType } from "../../core/dtype.ts";
import type { Queue } from "./queue.ts";
import { type CpuTensor, product } from "./tensor.ts";
import { packedBytes, packRows } from "./pack_weights.ts";

/** Bytes a tensor takes in an arena. */
export function heldBytes(spec: TensorSpec): number {
  const { dtype, shape } = spec;
  if (isBlockDType(dtype)) return packedBytes(dtype, shape);
  const columns = shape[shape.length - 1];
  return (product(shape) / columns) * bytesOf(dtype, columns);
}

/** Writes whole rows, in their dtype, at `byteOffset` of the tensor as the caller counts it; nothing queued may name it. */
export function writeTensor(queue: Queue, tensor: CpuTensor, data: Uint8Array, byteOffset: number): void {
  if (isBlockDType(tensor.dtype)) {
    packRows(queue, tensor, data, byteOffset);
    return;
  }
  const { arena, address } = tensor.current;
  arena.bytes.set(data, address + byteOffset);
  for (const copy of tensor.copies) copy.isCurrent = copy.arena === arena;
}

/** Whole rows of a tensor of a scalar type. */
export function readTensor(
  tensor: CpuTensor,
  byteOffset: number,
  byteLength: number,
): Uint8Array<ArrayBuffer> {
  const { arena, address } = tensor.current;
  const bytes = new Uint8Array(byteLength);
  bytes.set(arena.bytes.subarray(address + byteOffset, address + byteOffset + byteLength));
  return bytes;
}
