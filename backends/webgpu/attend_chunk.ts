import { kvVariants, mergeParts, partsBuffer, sharesOf } from "./attend_parts.ts";
import { floatBits, type Queue } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";

/** As in attend_chunk.wgsl. */
const THREADS = 64;
/** Of a share: fewer do not pay for putting the shares together. */
const LEAST_TOKENS = 256;
/** Workgroups that fill a large GPU. */
const MOST_WORKGROUPS = 512;

/** `attend` where the rows are consecutive positions of one slot. */
export function attendChunk(
  queue: Queue,
  out: WebGpuTensor,
  qkv: WebGpuTensor,
  kv: WebGpuTensor,
  scale: number,
  window: number,
): void {
  const [T, heads, d] = qkv.shape as [number, number, number];
  const [, Hk, S] = kv.shape as [number, number, number];
  const Hq = heads - 2 * Hk;
  const sizes = sizesFor(d);
  const grid = [Math.ceil((T * (Hq / Hk)) / sizes.LINES), Hk] as const;
  const kvLen = queue.rows.host.positions[T - 1]! + 1;
  const tokens = window > 0 ? Math.min(kvLen, window) : kvLen;
  const shares = sharesOf(tokens, LEAST_TOKENS, grid[0] * grid[1], MOST_WORKGROUPS);
  const isWhole = shares === 1;
  const kernel = queue.kernel("attend_chunk", { D: d, WHOLE: isWhole, ...sizes }, kvVariants(kv));
  const result = isWhole ? out.buffer : partsBuffer(queue, T * Hq * shares, d);
  for (const { buffer, first, entries } of kv.chunks) {
    const parameters = [T, Hq, Hk, S, shares, first, entries, window, floatBits(scale)];
    queue.run(kernel, parameters, [result, qkv.buffer, buffer, queue.rows.buffer], [...grid, shares]);
  }
  if (!isWhole) mergeParts(queue, out, { buffer: result, H: Hk, shares }, null);
}

/** What fits into 16 KiB of workgroup memory, a tile of keys above all, and into registers: values of 16 lines. */
function sizesFor(d: number): { readonly LINES: number; readonly TILE: number; readonly OWNED: number } {
  const LINES = d <= 64 ? 64 : d <= 128 ? 32 : 16;
  const strands = Math.floor(THREADS / (d / 4));
  return {
    LINES,
    TILE: d <= 128 ? 16 : 8,
    OWNED: 2 ** Math.max(0, Math.ceil(Math.log2(LINES / strands))),
  };
}
