import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function norms(R: number, D: number, epsilon: number, inPlace: boolean, scale = 1): Case {
  const random = new Random(13);
  const x = gaussians(random, R * D, scale);
  const weight = gaussians(random, D);
  return {
    name: `[${R}, ${D}] of ${scale}, epsilon ${epsilon}${inPlace ? ", in place" : ""}`,
    run: async (bench) => {
      const input = bench.tensor(x, [R, D]);
      const out = inPlace ? input : bench.output("f32", [R, D]);
      bench.backend.rmsNorm(out, input, bench.tensor(weight, [D]), epsilon);
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => ({
      out: Float64Array.from(x, (value, i) => {
        const row = x.slice(Math.floor(i / D) * D, (Math.floor(i / D) + 1) * D);
        const mean = Float64Array.from(row, (v) => v * v).reduce((sum, square) => sum + square, 0) / D;
        return value / Math.sqrt(mean + epsilon) * weight[i % D];
      }),
    }),
  };
}

// A sum of D squares, a root and two products in f32.
conformance("rmsNorm", 2e-6, [
  norms(1, 1, 1e-5, false),
  norms(3, 63, 1e-6, false),
  norms(5, 64, 1e-5, true),
  norms(2, 65, 1e-5, true),
  norms(70, 576, 1e-5, false),
  norms(2, 4097, 1e-5, false),
  norms(2, 576, 1e-5, false, 1e-4),
]);
