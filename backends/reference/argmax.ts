import type { FloatTensor, IntTensor } from "./tensor.ts";

/** token [R] ← place of the largest logit of each row of logits [R, V]; ties: the lowest. */
export function argmax(token: IntTensor, logits: FloatTensor): void {
  const [R, V] = logits.shape;
  for (let r = 0; r < R; r++) {
    const row = logits.chunk(r * V);
    const at = logits.offset(r * V);
    let best = 0;
    for (let v = 1; v < V; v++) if (row[at + v] > row[at + best]) best = v;
    token.chunks[0][r] = best;
  }
}
