import type { TensorSpec } from "../../core/backend.ts";
import { isOutOfMemory } from "./faults.ts";
import type { Parking } from "./parking.ts";
import type { Queue } from "./queue.ts";
import { CudaTensor } from "./tensor.ts";

/** @throws {DsError} kind "out-of-memory", where not even what is parked makes room */
export function allocTensor(queue: Queue, parking: Parking, spec: TensorSpec): CudaTensor {
  const parked = parking.take(spec);
  if (parked !== null) return parked;
  try {
    return new CudaTensor(spec, queue.stream.alloc(spec));
  } catch (error) {
    const unused = isOutOfMemory(error) ? parking.empty() : [];
    if (unused.length === 0) throw error;
    for (const tensor of unused) queue.release(tensor);
    return new CudaTensor(spec, queue.stream.alloc(spec));
  }
}

export function freeTensor(queue: Queue, parking: Parking, tensor: CudaTensor): void {
  if (!parking.park(tensor)) queue.release(tensor);
}
