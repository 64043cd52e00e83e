import type { Place, Tensor, TensorSpec } from "../../core/backend.ts";
import { bytesOf, type DType } from "../../core/dtype.ts";
import type { Arena } from "./arena.ts";

/** Where a tensor lies in one arena. */
interface Copy {
  readonly arena: Arena;
  readonly address: number;
  /** Whether it is what was last written. */
  isCurrent: boolean;
}

/**
 * Memory of an op: the bytes of its dtype row after row, but packed weights as `weights/layout.ts` repacks them. An op runs
 * where the largest of its tensors lies, so small tensors may have copies in several arenas.
 */
export class CpuTensor implements Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Place;
  readonly byteLength: number;
  /** Bytes of one copy. */
  readonly heldBytes: number;
  readonly copies: Copy[];
  /** Whether an op that is still queued names it. */
  isQueued = false;

  constructor(spec: TensorSpec, heldBytes: number, arena: Arena, address: number) {
    this.dtype = spec.dtype;
    this.shape = [...spec.shape];
    this.place = spec.place ?? "device";
    const columns = spec.shape[spec.shape.length - 1];
    this.byteLength = (product(spec.shape) / columns) * bytesOf(spec.dtype, columns);
    this.heldBytes = heldBytes;
    this.copies = [{ arena, address, isCurrent: true }];
  }

  /** Where it was last written. */
  get arena(): Arena {
    return this.current.arena;
  }

  get current(): Copy {
    for (const copy of this.copies) if (copy.isCurrent) return copy;
    throw new Error("a tensor has no current copy");
  }
}

export function product(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** The tensor as this backend made it, which `checked` has seen to. */
export function cpu(tensor: Tensor): CpuTensor {
  return tensor as CpuTensor;
}
