import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { Random } from "../../../core/random.ts";
import { downloadFloats, tensorOf } from "../../../core/tensor_io.ts";

/** The sum the contract defines: over i in order, in f64, stored as f32. */
function plain(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  R: number,
  N: number,
  I: number,
): Float32Array {
  const out = new Float32Array(R * N);
  for (let r = 0; r < R; r++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let i = 0; i < I; i++) sum += x[r * I + i] * weight[n * I + i];
      out[r * N + n] = sum + bias[n];
    }
  }
  return out;
}

for (const R of [1, 2, 7, 8, 9, 12, 63, 64, 65, 131]) {
  test(`linear() has the bits of the plain loop at ${R} rows`, async () => {
    const backend = await openReference();
    const random = new Random(R);
    const values = (count: number) => Float32Array.from({ length: count }, () => random.next() * 2 - 1);
    for (const [N, I] of [[1, 1], [3, 5], [4, 4], [8, 64], [17, 33], [30, 576]]) {
      const [x, weight, bias] = [values(R * I), values(N * I), values(N)];
      const out = backend.alloc({ dtype: "f32", shape: [R, N] });
      const [inputs, weights] = [tensorOf(backend, x, [R, I]), tensorOf(backend, weight, [N, I])];
      backend.linear(out, inputs, weights, tensorOf(backend, bias, [N]));
      assert.deepEqual(await downloadFloats(backend, out), plain(x, weight, bias, R, N, I), `[${N}, ${I}]`);
    }
  });
}
