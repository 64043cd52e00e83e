import type { Scores, Selection, Tensor } from "../../core/backend.ts";
import { DsError } from "../../core/errors.ts";
import type { DeviceBuffer } from "./buffers.ts";
import { type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

/**
 * Into how many shares each row's tokens are split, a power of two: as many as fill the GPU, none below `leastTokens`. It changes
 * seldom as a sequence grows, so that what is kept for a dispatch is used again.
 *
 * @param workgroups of one share
 */
export function sharesOf(
  tokens: number,
  leastTokens: number,
  workgroups: number,
  mostWorkgroups: number,
): number {
  const most = Math.min(tokens / leastTokens, mostWorkgroups / workgroups);
  return most < 2 ? 1 : 2 ** Math.floor(Math.log2(most));
}

/** What workgroups found, as `attend_part.wgsl` lays it out. */
export interface Parts {
  readonly buffer: DeviceBuffer;
  /** Sets of tokens per row. */
  readonly H: number;
  readonly shares: number;
}

export function partsBuffer(queue: Queue, count: number, d: number): DeviceBuffer {
  return queue.scratch("parts of attention", count * (d + 4) * 4);
}

/** Beyond, the tiles of `attend_chunk.wgsl` do not fit into workgroup memory. */
const MOST_CHANNELS = 256;

/** @throws {DsError} where a head's channels are not whole groups of four, or too many */
export function kvVariants({ dtype, shape }: WebGpuTensor): Record<string, string> {
  const d = shape[4]!;
  if (d % 4 !== 0 || d > MOST_CHANNELS) {
    throw new DsError(
      "backend-unavailable",
      `Cannot attend with ${d} channels per head on backend "webgpu", which takes multiples of 4 up to ${MOST_CHANNELS}: ` +
        "use --backend cpu",
    );
  }
  return { kv: `kv_${dtype}` };
}

export interface Tail {
  /** f32 [T, H] as `attend_others.wgsl` leaves them. */
  readonly others: DeviceBuffer;
  readonly scores: Scores;
  readonly selection: Selection;
}

/** out [T, Hq, d] ← the shares of each head put together, and the tail. */
export function mergeParts(
  queue: Queue,
  out: WebGpuTensor,
  { buffer, H, shares }: Parts,
  tail: Tail | null,
): void {
  const [T, Hq, d] = out.shape as [number, number, number];
  const variants = tail === null ? {} : { attend_merge_plain: "attend_merge_tail" };
  const kernel = queue.kernel("attend_merge", { D: d }, variants);
  const buffers = [out.buffer, buffer];
  if (tail !== null) {
    const { others, scores, selection } = tail;
    buffers.push(others, ...[scores.exponents, scores.maxima, selection.tailMass].map(bufferOf));
  }
  queue.run(kernel, [T, Hq, H, shares], buffers, spread(T * Hq));
}

function bufferOf(tensor: Tensor): DeviceBuffer {
  return gpu(tensor).buffer;
}
