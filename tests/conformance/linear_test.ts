import { Random } from "../../core/random.ts";
import { FLOAT_POISON } from "./bench.ts";
import { type Case, conformance, type Results } from "./conformance.ts";
import { gaussians } from "./scenario.ts";
import { type WeightKind, WEIGHTS } from "./weights.ts";

interface Shape {
  readonly R: number;
  readonly I: number;
  readonly N: number;
  readonly hasBias?: boolean;
  readonly column?: number;
  /** Columns of out; default column + N. */
  readonly columns?: number;
  /** out and x as [R, heads, rest]. */
  readonly heads?: number;
}

/** What was asked for, and the columns beside it, which must be as they were to the bit. */
function split(out: Float32Array | Float64Array, { N, column = 0, columns = column + N }: Shape): Results {
  const isInside = (i: number) => i % columns >= column && i % columns < column + N;
  return {
    inside: out.filter((_, i) => isInside(i)),
    outside: Int32Array.from(out.filter((_, i) => !isInside(i)), (value) => (value === FLOAT_POISON ? 1 : 0)),
  };
}

function multiplies({ dtype, make }: WeightKind, shape: Shape): Case {
  const { R, I, N, hasBias = false, column = 0, heads = 1 } = shape;
  const columns = shape.columns ?? column + N;
  const random = new Random(14);
  const x = gaussians(random, R * I);
  const weight = make(random, N * I);
  const bias = gaussians(random, N);
  const as = (width: number) => (heads === 1 ? [R, width] : [R, heads, width / heads]);
  return {
    name: `${dtype} [${N}, ${I}] on ${R} rows${hasBias ? " with bias" : ""}, columns ${column} of ${columns}`,
    boundKey: `linear ${dtype}`,
    run: async (bench) => {
      const out = bench.output("f32", as(columns));
      const weights = bench.packed(weight.bytes, [N, I], dtype);
      bench.backend.linear(
        out,
        bench.tensor(x, as(I)),
        weights,
        hasBias ? bench.tensor(bias, [N]) : null,
        column,
      );
      return split((await bench.read(out)) as Float32Array, shape);
    },
    oracle: () => {
      const out = new Float64Array(R * columns).fill(FLOAT_POISON);
      for (let r = 0; r < R; r++) {
        for (let n = 0; n < N; n++) {
          let sum = hasBias ? bias[n] : 0;
          for (let i = 0; i < I; i++) sum += x[r * I + i] * weight.values[n * I + i];
          out[r * columns + column + n] = sum;
        }
      }
      return split(out, shape);
    },
  };
}

const [f32] = WEIGHTS;

// Sums of I products in f32 in any order: √I roundings of 6e-8 of the largest partial sum.
conformance("linear", 2e-6, [
  ...WEIGHTS.flatMap((kind) => {
    const I = kind.dtype.endsWith("_k") ? 512 : 96;
    return [
      multiplies(kind, { R: 1, I, N: 65 }),
      multiplies(kind, { R: 7, I, N: 33, hasBias: true }),
      multiplies(kind, { R: 67, I, N: 30 }),
    ];
  }),
  ...[1, 2, 8, 9].flatMap((R) => [
    multiplies(f32, { R, I: 1, N: 1 }),
    multiplies(f32, { R, I: 63, N: 8, hasBias: true }),
    multiplies(f32, { R, I: 64, N: 9 }),
    multiplies(f32, { R, I: 65, N: 17, column: 5, columns: 40 }),
  ]),
  multiplies(f32, { R: 3, I: 4097, N: 5 }),
  multiplies(f32, { R: 12, I: 48, N: 64, column: 64, columns: 192, heads: 6 }),
]);
