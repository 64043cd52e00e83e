import type { Place, Tensor, TensorSpec } from "../../core/backend.ts";
import { bytesOf, type DType } from "../../core/dtype.ts";

export class CudaTensor implements Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Place;
  readonly byteLength: number;
  /** The library's. */
  readonly handle: number;
  /** What it holds is not its own: it is zero when it is first used. */
  isStale = true;
  /** The bytes in its memory, where it is small and was last written by the host. */
  uploaded: Uint8Array | null = null;
  /** The number of the last tape that names it; 0: none yet. */
  usedIn = 0;

  constructor(spec: TensorSpec, handle: number) {
    this.dtype = spec.dtype;
    this.shape = [...spec.shape];
    this.place = spec.place ?? "device";
    const columns = spec.shape[spec.shape.length - 1]!;
    this.byteLength = (product(spec.shape) / columns) * bytesOf(spec.dtype, columns);
    this.handle = handle;
  }
}

/** The tensor as this backend made it. */
export function cuda(tensor: Tensor): CudaTensor {
  return tensor as CudaTensor;
}

export function product(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
