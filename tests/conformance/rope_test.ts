import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

interface Shape {
  readonly Hq: number;
  readonly Hk: number;
  readonly d: number;
  readonly positions: readonly number[];
  readonly hasNorms?: boolean;
}

function rotates({ Hq, Hk, d, positions, hasNorms = false }: Shape): Case {
  const random = new Random(15);
  const T = positions.length;
  const heads = Hq + 2 * Hk;
  const half = d / 2;
  const epsilon = 1e-6;
  const qkv = gaussians(random, T * heads * d);
  const length = Math.max(...positions) + 1;
  const table = new Float32Array(length * d);
  for (let p = 0; p < length; p++) {
    for (let c = 0; c < half; c++) {
      table[p * d + c] = Math.cos(p * 0.7 ** c);
      table[p * d + half + c] = Math.sin(p * 0.7 ** c);
    }
  }
  const norms = { queryNorm: gaussians(random, d), keyNorm: gaussians(random, d) };
  return {
    name: `${Hq}:${Hk} heads of ${d} at ${positions.join(", ")}${hasNorms ? ", with norms" : ""}`,
    run: async (bench) => {
      const at = Int32Array.from(positions);
      bench.step({
        tokens: new Int32Array(T),
        slots: Int32Array.from({ length: T }, (_, t) => t),
        positions: at,
        homes: at,
      });
      const x = bench.tensor(qkv, [T, heads, d]);
      const options = {
        queryNorm: bench.tensor(norms.queryNorm, [d]),
        keyNorm: bench.tensor(norms.keyNorm, [d]),
        epsilon,
      };
      const turns = bench.tensor(table, [length, 2, half]);
      bench.backend.rope(x, turns, { numHeads: Hq, numKvHeads: Hk }, hasNorms ? options : {});
      return { qkv: (await bench.read(x)) as Float32Array };
    },
    oracle: () => {
      const out = Float64Array.from(qkv);
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < Hq + Hk; h++) {
          const head = out.subarray((t * heads + h) * d, (t * heads + h + 1) * d);
          const norm = h < Hq ? norms.queryNorm : norms.keyNorm;
          const rms = Math.sqrt(head.reduce((sum, x) => sum + x * x, 0) / d + epsilon);
          if (hasNorms) head.forEach((x, c) => head[c] = x / rms * norm[c]);
          for (let c = 0; c < half; c++) {
            const [a, b] = [head[c], head[c + half]];
            const [cos, sin] = [table[positions[t] * d + c], table[positions[t] * d + half + c]];
            head[c] = a * cos - b * sin;
            head[c + half] = b * cos + a * sin;
          }
        }
      }
      return { qkv: out };
    },
  };
}

// Two products and a sum in f32, and the norm's few before them.
conformance("rope", 1e-6, [
  rotates({ Hq: 4, Hk: 4, d: 8, positions: [0] }),
  rotates({ Hq: 6, Hk: 2, d: 64, positions: [5, 0, 64, 4096] }),
  rotates({ Hq: 8, Hk: 1, d: 128, positions: [63, 65], hasNorms: true }),
  rotates({ Hq: 2, Hk: 1, d: 48, positions: [1, 2, 3], hasNorms: true }),
]);
