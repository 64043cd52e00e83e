import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function routes(R: number, E: number, chosen: number, renormalise: boolean, ties = false): Case {
  const logits = gaussians(new Random(19), R * E, 2);
  if (ties) logits.forEach((value, i) => logits[i] = Math.round(value));
  return {
    name: `${chosen} of ${E} for ${R} rows${renormalise ? ", renormalised" : ""}${ties ? ", with ties" : ""}`,
    run: async (bench) => {
      const experts = bench.output("i32", [R, chosen]);
      const mix = bench.output("f32", [R, chosen]);
      bench.backend.routeExperts(experts, mix, bench.tensor(logits, [R, E]), renormalise);
      return {
        experts: (await bench.read(experts)) as Int32Array,
        mix: (await bench.read(mix)) as Float32Array,
      };
    },
    oracle: () => {
      const experts: number[] = [];
      const mix: number[] = [];
      for (let r = 0; r < R; r++) {
        const row = [...logits.subarray(r * E, (r + 1) * E)];
        const order = row.map((_, e) => e).sort((a, b) => row[b] - row[a] || a - b).slice(0, chosen);
        const weights = row.map((logit) => Math.exp(logit - row[order[0]]));
        const total = (renormalise ? order.map((e) => weights[e]) : weights).reduce((sum, w) => sum + w, 0);
        experts.push(...order);
        mix.push(...order.map((e) => weights[e] / total));
      }
      return { experts: Int32Array.from(experts), mix: Float64Array.from(mix) };
    },
  };
}

// A few exponentials and one division in f32.
conformance("routeExperts", 1e-6, [
  routes(1, 1, 1, false),
  routes(5, 8, 2, true),
  routes(5, 8, 2, false),
  routes(66, 60, 4, false),
  routes(3, 8, 8, true),
  routes(40, 8, 3, true, true),
]);
