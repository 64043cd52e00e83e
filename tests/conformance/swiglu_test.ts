import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function gates(R: number, F: number, scale: number): Case {
  const x = gaussians(new Random(16), R * 2 * F, scale);
  return {
    name: `[${R}, ${F}] of ${scale}`,
    run: async (bench) => {
      const out = bench.output("f32", [R, F]);
      bench.backend.swiglu(out, bench.tensor(x, [R, 2 * F]));
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => ({
      out: Float64Array.from({ length: R * F }, (_, i) => {
        const row = Math.floor(i / F) * 2 * F;
        const gate = x[row + (i % F)];
        return gate / (1 + Math.exp(-gate)) * x[row + F + (i % F)];
      }),
    }),
  };
}

// One exponential in f32, good to a few units in the last place.
conformance("swiglu", 1e-6, [gates(1, 1, 1), gates(3, 65, 1), gates(64, 1536, 3), gates(2, 4097, 200)]);
