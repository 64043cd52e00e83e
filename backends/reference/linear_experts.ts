import { multiply } from "./linear.ts";
import type { FloatTensor, IntTensor } from "./tensor.ts";

/** Rows in one go: bounds the scratch of partial results. */
const BLOCK_ROWS = 64;

/**
 * With mix null: out [R, E', N] ← weight[experts[r, j]]·x[r]; else out [R, N] ← Σ_j mix[r, j]·weight[experts[r, j]]·x[r, j].
 * x [R, I] or [R, E', I]; weight [E, N, I].
 */
export function linearExperts(
  out: FloatTensor,
  x: FloatTensor,
  weight: FloatTensor,
  experts: IntTensor,
  mix: FloatTensor | null,
): void {
  const [R, chosen] = experts.shape;
  const [E, N, I] = weight.shape;
  const perChoice = x.shape.length === 3;
  const partial = new Float64Array(Math.min(R, BLOCK_ROWS) * chosen * N);
  for (let from = 0; from < R; from += BLOCK_ROWS) {
    const rows = Math.min(BLOCK_ROWS, R - from);
    const pairsOf: number[][] = Array.from({ length: E }, () => []);
    for (let pair = 0; pair < rows * chosen; pair++) {
      pairsOf[experts.chunks[0][from * chosen + pair]].push(pair);
    }
    for (let e = 0; e < E; e++) {
      const pairs = pairsOf[e];
      const starts = pairs.map((pair) =>
        (perChoice ? from * chosen + pair : from + Math.floor(pair / chosen)) * I
      );
      multiply(x, starts, weight, e * N * I, N, I, (i, n, sum) => {
        partial[pairs[i] * N + n] = sum;
      });
    }
    for (let r = 0; r < rows; r++) {
      for (let n = 0; n < N; n++) {
        if (mix === null) {
          for (let j = 0; j < chosen; j++) {
            put(out, ((from + r) * chosen + j) * N + n, partial[(r * chosen + j) * N + n]);
          }
        } else {
          let sum = 0;
          for (let j = 0; j < chosen; j++) {
            sum += mix.chunks[0][(from + r) * chosen + j] * partial[(r * chosen + j) * N + n];
          }
          put(out, (from + r) * N + n, sum);
        }
      }
    }
  }
}

function put(tensor: FloatTensor, index: number, value: number): void {
  tensor.chunk(index)[tensor.offset(index)] = value;
}
