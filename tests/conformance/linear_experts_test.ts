import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";
import { type WeightKind, WEIGHTS } from "./weights.ts";

function multiplies({ dtype, make }: WeightKind, R: number, perChoice: boolean, hasMix: boolean): Case {
  const [E, chosen, N] = [5, 2, 19];
  const I = dtype.endsWith("_k") ? 256 : 64;
  const random = new Random(20);
  const x = gaussians(random, R * (perChoice ? chosen : 1) * I);
  const weight = make(random, E * N * I);
  const mix = gaussians(random, R * chosen);
  const experts = Int32Array.from({ length: R * chosen }, () => random.nextUint32() % E);
  return {
    name: `${dtype}, ${R} rows, x ${perChoice ? "per choice" : "shared"}, ${hasMix ? "mixed" : "apart"}`,
    boundKey: `linearExperts ${dtype}`,
    run: async (bench) => {
      const out = bench.output("f32", hasMix ? [R, N] : [R, chosen, N]);
      const input = bench.tensor(x, perChoice ? [R, chosen, I] : [R, I]);
      const weights = bench.packed(weight.bytes, [E, N, I], dtype);
      const choice = bench.tensor(experts, [R, chosen]);
      bench.backend.linearExperts(
        out,
        input,
        weights,
        choice,
        hasMix ? bench.tensor(mix, [R, chosen]) : null,
      );
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => {
      const out = new Float64Array(hasMix ? R * N : R * chosen * N);
      for (let r = 0; r < R; r++) {
        for (let j = 0; j < chosen; j++) {
          const from = (perChoice ? r * chosen + j : r) * I;
          for (let n = 0; n < N; n++) {
            const row = (experts[r * chosen + j] * N + n) * I;
            let sum = 0;
            for (let i = 0; i < I; i++) sum += x[from + i] * weight.values[row + i];
            if (hasMix) out[r * N + n] += mix[r * chosen + j] * sum;
            else out[(r * chosen + j) * N + n] = sum;
          }
        }
      }
      return { out };
    },
  };
}

// As linear.
conformance("linearExperts", 2e-6, [
  ...WEIGHTS.flatMap((kind) => [multiplies(kind, 3, false, false), multiplies(kind, 3, true, true)]),
  ...[1, 70].flatMap((R) => [
    multiplies(WEIGHTS[0], R, false, false),
    multiplies(WEIGHTS[0], R, false, true),
    multiplies(WEIGHTS[0], R, true, false),
    multiplies(WEIGHTS[0], R, true, true),
  ]),
]);
