import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function picks(name: string, R: number, V: number, change: (logits: Float32Array) => void): Case {
  const logits = gaussians(new Random(18), R * V);
  change(logits);
  return {
    name,
    run: async (bench) => {
      const token = bench.output("i32", [R]);
      bench.backend.argmax(token, bench.tensor(logits, [R, V]));
      return { token: (await bench.read(token)) as Int32Array };
    },
    oracle: () => ({
      token: Int32Array.from({ length: R }, (_, r) => {
        const row = [...logits.subarray(r * V, (r + 1) * V)];
        return row.indexOf(Math.max(...row));
      }),
    }),
  };
}

conformance("argmax", 0, [
  picks("one logit", 1, 1, () => {}),
  picks("three rows of 65", 3, 65, () => {}),
  picks("a large vocabulary", 2, 49_153, () => {}),
  picks(
    "ties: the lowest",
    2,
    300,
    (logits) => [290, 17, 299, 18, 300 + 64, 300 + 63].forEach((i) => logits[i] = 9),
  ),
  picks("all equal", 2, 130, (logits) => logits.fill(-3)),
  picks("all far below zero", 1, 100, (logits) => logits.forEach((x, i) => logits[i] = x - 1e30 * (i + 1))),
  picks("the last", 1, 4097, (logits) => logits[4096] = 50),
  picks("minus infinity elsewhere", 1, 70, (logits) => logits.fill(-Infinity).fill(-1e38, 66, 68)),
]);
