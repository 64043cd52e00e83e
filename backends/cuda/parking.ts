import type { TensorSpec } from "../../core/backend.ts";
import { CudaTensor } from "./tensor.ts";

/** A larger tensor is given back at once. */
const MOST_TENSOR_BYTES = 2 ** 24;
const MOST_BYTES = 2 ** 28;

/**
 * Tensors that were freed and wait for the next of their type and shape: a step that allocates what the step before it freed finds
 * the same memory, and so makes the same calls.
 */
export class Parking {
  private bytes = 0;
  /** By type, place and shape; the lowest handle first, so that the order they were freed in does not matter. */
  private readonly places = new Map<string, CudaTensor[]>();

  /** @returns whether it was taken in */
  park(tensor: CudaTensor): boolean {
    if (tensor.byteLength > MOST_TENSOR_BYTES || this.bytes + tensor.byteLength > MOST_BYTES) return false;
    const key = keyOf(tensor);
    const alike = this.places.get(key);
    if (alike === undefined) this.places.set(key, [tensor]);
    else {
      const at = alike.findIndex(({ handle }) => handle > tensor.handle);
      alike.splice(at < 0 ? alike.length : at, 0, tensor);
    }
    this.bytes += tensor.byteLength;
    return true;
  }

  /** A new tensor in the memory of a parked one, or null. */
  take(spec: TensorSpec): CudaTensor | null {
    const found = this.places.get(keyOf(spec))?.shift();
    if (found === undefined) return null;
    this.bytes -= found.byteLength;
    const tensor = new CudaTensor(spec, found.handle);
    tensor.usedIn = found.usedIn;
    tensor.uploaded = found.uploaded;
    return tensor;
  }

  /** Hands out all of them. */
  empty(): CudaTensor[] {
    const all = [...this.places.values()].flat();
    this.places.clear();
    this.bytes = 0;
    return all;
  }
}

function keyOf({ dtype, shape, place = "device" }: TensorSpec): string {
  return `${dtype} ${place} ${shape.join()}`;
}
