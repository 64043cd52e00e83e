import { exp } from "../../core/math.ts";
import type { FloatTensor, IntTensor } from "./tensor.ts";

/** experts [R, E'] ← the largest of logits [R, E], largest first, ties: the lowest index; mix [R, E'] ← their shares. */
export function routeExperts(
  experts: IntTensor,
  mix: FloatTensor,
  logits: FloatTensor,
  renormalise: boolean,
): void {
  const [R, E] = logits.shape;
  const chosen = experts.shape[1];
  for (let r = 0; r < R; r++) {
    const row = logits.chunk(r * E);
    const at = logits.offset(r * E);
    const taken = new Uint8Array(E);
    const shares = new Float64Array(chosen);
    let largest = 0;
    for (let j = 0; j < chosen; j++) {
      let best = -1;
      for (let e = 0; e < E; e++) {
        if (taken[e] === 0 && (best < 0 || row[at + e] > row[at + best])) best = e;
      }
      taken[best] = 1;
      experts.chunks[0][r * chosen + j] = best;
      if (j === 0) largest = row[at + best];
      shares[j] = exp(row[at + best] - largest);
    }
    let total = 0;
    if (renormalise) { for (let j = 0; j < chosen; j++) total += shares[j]; }
    else for (let e = 0; e < E; e++) total += exp(row[at + e] - largest);
    for (let j = 0; j < chosen; j++) mix.chunks[0][r * chosen + j] = shares[j] / total;
  }
}
