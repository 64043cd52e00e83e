import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function gathers(X: number, D: number, indices: readonly number[]): Case {
  const x = gaussians(new Random(12), X * D);
  const R = indices.length;
  return {
    name: `${R} of ${X} rows of ${D}`,
    run: async (bench) => {
      const out = bench.output("f32", [R, D]);
      bench.backend.gatherRows(out, bench.tensor(x, [X, D]), bench.tensor(Int32Array.from(indices), [R]));
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => ({
      out: Float32Array.from({ length: R * D }, (_, i) => x[indices[Math.floor(i / D)] * D + (i % D)]),
    }),
  };
}

// A copy.
conformance("gatherRows", 0, [
  gathers(1, 1, [0]),
  gathers(9, 65, [8, 0, 3, 3]),
  gathers(300, 64, Array.from({ length: 257 }, (_, i) => (i * 7) % 300)),
]);
