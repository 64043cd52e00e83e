import { test } from "node:test";
import { openReference } from "../../backends/reference/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { Random } from "../../core/random.ts";
import { Bench } from "../conformance/bench.ts";
import { compare, type Results } from "../conformance/conformance.ts";
import { gaussians } from "../conformance/scenario.ts";
import { WEIGHTS } from "../conformance/weights.ts";
import { skip } from "./skip.ts";

/** [dtype, R, I, N]: rows of odd length in each kernel and type, long rows, tiles and teams with a remainder. */
const SHAPES = [
  ...(["f32", "f16", "bf16"] as const).flatMap((dtype) => [1, 5, 33].map((R) => [dtype, R, 65, 70] as const)),
  ["f16", 33, 36, 3],
  ["f32", 2, 1056, 11],
  ["q8_0", 1, 1056, 11],
  ["q4_0", 17, 1056, 5],
  ["q6_k", 4, 1280, 9],
  ["q4_1", 130, 160, 131],
] as const;

/**
 * `linear` on shapes that no tile or team divides is that of the reference.
 *
 * @param open a backend to hold to it
 * @param absence why there is none, or null
 * @param bound largest error allowed, over the largest value
 */
export function testLinearShapes(
  name: string,
  open: () => Promise<Backend>,
  absence: string | null,
  bound: (dtype: string, R: number) => number,
): void {
  for (const [dtype, R, I, N] of SHAPES) {
    test(`linear() agrees with the reference on ${name}: ${dtype} [${N}, ${I}] on ${R} rows`, async (t) => {
      if (absence !== null) return skip(t, absence);
      const random = new Random(34);
      const weight = WEIGHTS.find((kind) => kind.dtype === dtype)!.make(random, N * I);
      const x = gaussians(random, R * I);
      const run = async (backend: Backend): Promise<Results> => {
        const bench = new Bench(backend);
        const out = bench.output("f32", [R, N]);
        bench.backend.linear(out, bench.tensor(x, [R, I]), bench.packed(weight.bytes, [N, I], dtype), null);
        const results = { out: (await bench.read(out)) as Float32Array };
        await bench.finish();
        await backend.close();
        return results;
      };
      compare(await run(await open()), await run(await openReference()), bound(dtype, R));
    });
  }
}
