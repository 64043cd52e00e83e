import { test } from "node:test";
import { openReference } from "../../backends/reference/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { Random } from "../../core/random.ts";
import { Bench } from "../conformance/bench.ts";
import { compare, type Results } from "../conformance/conformance.ts";
import { gaussian } from "../conformance/scenario.ts";
import { skip } from "./skip.ts";

interface Case {
  readonly name: string;
  readonly d: number;
  /** Query heads of the one set. */
  readonly g: number;
  /** Of each row. */
  readonly kvLens: readonly number[];
  readonly k: number;
  readonly exponent: number;
  readonly score: (random: Random, n: number) => number;
}

const CASES: readonly Case[] = [
  {
    name: "scores spread as logits are, over many blocks",
    d: 64,
    g: 4,
    kvLens: [30_000, 12_345, 1024, 1025],
    k: 1900,
    exponent: 4,
    score: (random) => Math.round(gaussian(random) * 100),
  },
  {
    name: "more blocks than a workgroup has threads",
    d: 128,
    g: 1,
    kvLens: [270_000],
    k: 17_000,
    exponent: 3,
    score: (random) => Math.round(gaussian(random) * 60),
  },
  {
    name: "few tokens worth anything, and ties among the worthless",
    d: 64,
    g: 2,
    kvLens: [9000],
    k: 700,
    exponent: 0,
    score: (random, n) => (n % 100 === 0 ? 1000 : 0) + Math.round(gaussian(random) * 5),
  },
  {
    name: "one score for all",
    d: 64,
    g: 3,
    kvLens: [5000],
    k: 1000,
    exponent: 2,
    score: () => -77,
  },
  {
    name: "thousands of weights that agree in their first bits",
    d: 64,
    g: 8,
    kvLens: [5000],
    k: 2500,
    exponent: 9,
    score: (random) => Math.round(random.next() * 8),
  },
  ...[-30, -2, 1, 20, 26, 60].map((exponent): Case => ({
    name: `exponent ${exponent}`,
    d: 80,
    g: 2,
    kvLens: [3000],
    k: 300,
    exponent,
    // More bits than scores have.
    score: (random) => Math.round((random.next() - 0.5) * 2 ** 22),
  })),
];

async function select(bench: Bench, { d, g, kvLens, k, exponent, score }: Case): Promise<Results> {
  const { backend } = bench;
  const T = kvLens.length;
  const S = Math.max(...kvLens) + 5;
  const random = new Random(7);
  const scores = new Int32Array(T * g * S);
  const maxima = new Int32Array(T * g).fill(-(2 ** 31));
  for (let q = 0; q < T * g; q++) {
    for (let n = 0; n < kvLens[Math.floor(q / g)]!; n++) {
      const one = score(random, n);
      scores[q * S + n] = one;
      maxima[q] = Math.max(maxima[q]!, one);
    }
  }
  const positions = Int32Array.from(kvLens, (kvLen) => kvLen - 1);
  const zeros = new Int32Array(T);
  bench.step({ tokens: zeros, slots: zeros, positions, homes: positions });
  const selection = {
    indices: bench.tensor(new Int32Array(T * k), [T, 1, k]),
    counts: bench.output("i32", [T, 1]),
    tailMass: bench.output("f32", [T, g]),
  };
  backend.selectTokens(
    selection,
    {
      headDim: d,
      scores: bench.tensor(scores, [T, g, S]),
      exponents: bench.tensor(new Int32Array(T * g).fill(exponent), [T, g]),
      maxima: bench.tensor(maxima, [T, g]),
    },
    bench.tensor(new Int32Array(T).fill(k), [T, 1]),
    { sinkTokens: 4, recentTokens: 16 },
  );
  const results = {
    counts: (await bench.read(selection.counts)) as Int32Array,
    indices: (await bench.read(selection.indices)) as Int32Array,
    tailMass: (await bench.read(selection.tailMass)) as Float32Array,
  };
  await bench.finish();
  return results;
}

/**
 * Selections over many tokens, which backends spread over blocks, are those of the reference.
 *
 * @param open a backend to hold to it
 * @param absence why there is none, or null
 */
export function testSelections(name: string, open: () => Promise<Backend>, absence: string | null): void {
  let opening: Promise<Backend> | null = null;
  for (const one of CASES) {
    test(`selectTokens() chooses as the reference on ${name}: ${one.name}`, async (t) => {
      if (absence !== null) return skip(t, absence);
      opening ??= open();
      const reference: Backend = await openReference();
      const wanted = await select(new Bench(reference), one);
      compare(await select(new Bench(await opening), one), wanted, 4e-6);
      await reference.close();
    });
  }

  test(`selectTokens() is done with ${name}`, async () => {
    await (await opening)?.close();
  });
}
