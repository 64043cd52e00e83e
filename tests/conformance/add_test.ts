import { Random } from "../../core/random.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

function adds(shape: readonly number[], toItself: boolean): Case {
  const random = new Random(17);
  const count = shape.reduce((product, size) => product * size, 1);
  const x = gaussians(random, count);
  const y = toItself ? x : gaussians(random, count);
  return {
    name: `[${shape.join(", ")}]${toItself ? " to itself" : ""}`,
    run: async (bench) => {
      const sum = bench.tensor(x, shape);
      bench.backend.add(sum, toItself ? sum : bench.tensor(y, shape));
      return { x: (await bench.read(sum)) as Float32Array };
    },
    oracle: () => ({ x: x.map((value, i) => value + y[i]) }),
  };
}

// One addition, exactly rounded everywhere.
conformance("add", 0, [
  adds([1, 1], false),
  adds([3, 65], false),
  adds([2, 3, 64], true),
  adds([4097], false),
]);
