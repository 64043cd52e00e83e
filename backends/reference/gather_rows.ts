import { copyRows } from "./embed.ts";
import { type FloatTensor, type IntTensor, product } from "./tensor.ts";

/** out [R, D] ← row indices[r] of x [X, D]. */
export function gatherRows(out: FloatTensor, x: FloatTensor, indices: IntTensor): void {
  copyRows(out, x, indices.chunks[0], product(x.shape.slice(1)));
}
