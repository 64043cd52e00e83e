import { exp } from "../../core/math.ts";
import type { FloatTensor } from "./tensor.ts";

/** out [R, F] ← silu(gateUp[r, f]) · gateUp[r, F + f]. */
export function swiglu(out: FloatTensor, gateUp: FloatTensor): void {
  const F = out.shape[out.shape.length - 1];
  const R = out.byteLength / (4 * F);
  for (let r = 0; r < R; r++) {
    const x = gateUp.chunk(r * 2 * F);
    const gate = gateUp.offset(r * 2 * F);
    const up = gate + F;
    const target = out.chunk(r * F);
    const at = out.offset(r * F);
    for (let f = 0; f < F; f++) target[at + f] = (x[gate + f] / (1 + exp(-x[gate + f]))) * x[up + f];
  }
}
