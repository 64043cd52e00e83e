import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { type WeightKind, WEIGHTS } from "./weights.ts";

function embeds({ dtype, make }: WeightKind): Case {
  const V = 37;
  const D = dtype.endsWith("_k") ? 512 : 96;
  const weight = make(new Random(11), V * D);
  const tokens = Int32Array.of(36, 0, 5, 5, 17);
  const T = tokens.length;
  return {
    name: `${dtype} table`,
    run: async (bench) => {
      const positions = Int32Array.from({ length: T }, (_, t) => t);
      bench.step({ tokens, slots: new Int32Array(T), positions, homes: positions });
      const out = bench.output("f32", [T, D]);
      bench.backend.embed(out, bench.packed(weight.bytes, [V, D], dtype));
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => ({
      out: Float32Array.from(
        { length: T * D },
        (_, i) => weight.values[tokens[Math.floor(i / D)] * D + (i % D)],
      ),
    }),
  };
}

// A copy; packed weights are one product and one sum each, which a backend may round to f16.
conformance("embed", 1e-3, WEIGHTS.map(embeds));
