import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { gpu } from "../../../backends/webgpu/tensor.ts";
import type { Backend, LayerCache, Scores, Selection, StepRows, Tensor } from "../../../core/backend.ts";
import { VALUE_SUM_TOKENS } from "../../../core/kv_cache.ts";
import { Random } from "../../../core/random.ts";
import { Bench, roundTo } from "../../conformance/bench.ts";
import { compare, type Results } from "../../conformance/conformance.ts";
import { gaussians, type RowSpec } from "../../conformance/scenario.ts";
import { skip } from "../../support/skip.ts";
import { useTestGpu } from "../../support/webgpu.ts";

/** So small that the cache of every problem here lies in several buffers, and nothing else does. */
const MOST_BUFFER_BYTES = 2 ** 18;
/** As attendSelected's own: see its conformance test. */
const BOUND = 1e-5;
const FORCED = { sinkTokens: 2, recentTokens: 3 };

interface Problem {
  readonly Hq: number;
  readonly Hk: number;
  readonly d: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
  readonly slots: number;
  readonly S: number;
  readonly rows: readonly RowSpec[];
  readonly window?: number;
}

interface Selecting {
  readonly H: number;
  /** Selected of a row that has so many tokens. */
  readonly count: (kvLen: number) => number;
  readonly tail: boolean;
  readonly staged?: boolean;
}

/** T rows of a prefill chunk from `position` on. */
function chunk(slot: number, position: number, T: number): RowSpec[] {
  return Array.from({ length: T }, (_, t) => ({ slot, position: position + t }));
}

function stepOf(rows: readonly RowSpec[]): StepRows {
  return {
    tokens: new Int32Array(rows.length),
    slots: Int32Array.from(rows, ({ slot }) => slot),
    positions: Int32Array.from(rows, ({ position }) => position),
    homes: Int32Array.from(rows, ({ position, home = position }) => home),
  };
}

/** The cache full of seeded values, its sums as `appendKv` would leave them, and queries, on one backend. */
function install(bench: Bench, { Hq, Hk, d, kvDtype, slots, S, rows }: Problem) {
  const random = new Random(Hq * 1000 + d + S);
  const kv = gaussians(random, slots * Hk * S * 2 * d).map((value) => roundTo(value, kvDtype));
  const entries = Math.ceil(S / VALUE_SUM_TOKENS);
  const sums = new Float32Array(slots * Hk * entries * d);
  for (let head = 0; head < slots * Hk; head++) {
    for (let c = 0; c < d; c++) {
      let sum = 0;
      for (let n = 0; n < S; n++) {
        if (n % VALUE_SUM_TOKENS === 0) {
          sums[(head * entries + n / VALUE_SUM_TOKENS) * d + c] = sum;
        }
        sum += kv[((head * S + n) * 2 + 1) * d + c];
      }
    }
  }
  const ones = () => bench.tensor(new Float32Array(Hk * 8).fill(1), [Hk, 8]);
  const cache: LayerCache = {
    kv: bench.tensor(kv, [slots, Hk, S, 2, d], kvDtype),
    labels: {
      layout: { wide: 8, narrow: 0 },
      words: bench.tensor(new Uint32Array(slots * Hk * S), [slots, Hk, S, 1]),
      channels: bench.tensor(new Int32Array(Hk * 8), [Hk, 8]),
      zero: ones(),
      step: ones(),
      inverseStep: ones(),
      valueSums: bench.tensor(sums, [slots, Hk, entries, d]),
    },
  };
  const heads = Hq + 2 * Hk;
  const qkv = bench.tensor(gaussians(random, rows.length * heads * d), [rows.length, heads, d]);
  bench.step(stepOf(rows));
  return { cache, qkv };
}

/** Forced tokens and others spread over the row, the row itself last. */
function selectTokens(bench: Bench, { Hq, rows, S }: Problem, { H, count }: Selecting): Selection {
  const random = new Random(5);
  const lists = rows.flatMap(({ position }) =>
    Array.from({ length: H }, () => {
      const kvLen = position + 1;
      const isForced = (n: number) => n < FORCED.sinkTokens || n >= position - FORCED.recentTokens;
      const all = Array.from({ length: kvLen }, (_, n) => ({ n, weight: isForced(n) ? 2 : random.next() }));
      const chosen = all.sort((a, b) => b.weight - a.weight).slice(0, count(kvLen));
      return chosen.map(({ n }) => n).sort((a, b) => a - b);
    })
  );
  const K = Math.min(S, Math.max(...lists.map(({ length }) => length)) + 40);
  const indices = new Int32Array(lists.length * K).fill(S - 1);
  lists.forEach((list, i) => indices.set(list, i * K));
  const T = rows.length;
  return {
    indices: bench.tensor(indices, [T, H, K]),
    counts: bench.tensor(Int32Array.from(lists, ({ length }) => length), [T, H]),
    tailMass: bench.tensor(Float32Array.from({ length: T * Hq }, () => random.next() * 9), [T, Hq]),
  };
}

function someScores(bench: Bench, { Hq, d, rows, S }: Problem): Scores {
  const random = new Random(6);
  const T = rows.length;
  const scores = Int32Array.from({ length: T * Hq * S }, () => Math.round((random.next() - 0.5) * 3000));
  const maxima = Int32Array.from(
    { length: T * Hq },
    (_, head) => Math.max(...scores.subarray(head * S, head * S + rows[Math.floor(head / Hq)].position + 1)),
  );
  return {
    headDim: d,
    scores: bench.tensor(scores, [T, Hq, S]),
    exponents: bench.tensor(Int32Array.from({ length: T * Hq }, (_, i) => 5 + i % 3), [T, Hq]),
    maxima: bench.tensor(maxima, [T, Hq]),
  };
}

async function attended(backend: Backend, problem: Problem, selecting: Selecting | null): Promise<Results> {
  const bench = new Bench(backend);
  const { Hq, Hk, d, kvDtype, rows, window = 0 } = problem;
  const T = rows.length;
  const { cache, qkv } = install(bench, problem);
  if (backend.name === "webgpu") assert.ok(gpu(cache.kv).chunks.length > 1, "the cache is in one buffer");
  const out = bench.output("f32", [T, Hq, d]);
  const scale = 1 / Math.sqrt(d);
  if (selecting === null) {
    bench.backend.attend(out, qkv, cache, { scale, window });
  } else {
    const selection = selectTokens(bench, problem, selecting);
    let staging: Tensor | null = null;
    if (selecting.staged) {
      staging = bench.output(kvDtype, [T, Hk, selection.indices.shape[2], 2, d]);
      await bench.backend.fetchRows(staging, cache, selection);
    }
    bench.backend.attendSelected(out, qkv, cache, selection, {
      scale,
      ...(selecting.tail && { tail: { scores: someScores(bench, problem), forced: FORCED } }),
      ...(staging !== null && { staging }),
    });
  }
  const results = { out: (await bench.read(out)) as Float32Array };
  await bench.finish();
  return results;
}

const absence = useTestGpu();
let opening: Promise<Backend> | null = null;

function conforms(name: string, problem: Problem, selecting: Selecting | null = null): void {
  const op = selecting === null ? "attend" : "attendSelected";
  const words = [name, ...(selecting?.tail ? ["tail"] : []), ...(selecting?.staged ? ["staged"] : [])];
  test(`${op}() over a cache in several buffers: ${words.join(", ")}`, async (t) => {
    if (absence !== null) return skip(t, `webgpu: ${absence}`);
    const backend = await (opening ??= openWebGpu({ mostBufferBytes: MOST_BUFFER_BYTES }));
    const reference = await openReference();
    const found = await attended(backend, problem, selecting);
    const wanted = await attended(reference, problem, selecting);
    await reference.close();
    compare(found, wanted, BOUND);
  });
}

const MIXED_ROWS: readonly RowSpec[] = [
  { slot: 2, position: 450 },
  { slot: 0, position: 0 },
  { slot: 1, position: 300, home: 470 },
  { slot: 1, position: 64, home: 471 },
];
const GROUPS_OF_3: Problem = { Hq: 6, Hk: 2, d: 64, kvDtype: "f16", slots: 3, S: 480, rows: MIXED_ROWS };
const GROUP_OF_12: Problem = {
  Hq: 12,
  Hk: 1,
  d: 128,
  kvDtype: "bf16",
  slots: 3,
  S: 500,
  rows: MIXED_ROWS.slice(0, 3),
};
const GROUPS_OF_16: Problem = {
  Hq: 32,
  Hk: 2,
  d: 8,
  kvDtype: "f32",
  slots: 3,
  S: 2000,
  rows: [{ slot: 1, position: 1990 }],
};
const WIDE_HEADS: Problem = {
  Hq: 2,
  Hk: 1,
  d: 256,
  kvDtype: "f16",
  slots: 2,
  S: 200,
  rows: [{ slot: 0, position: 198 }, { slot: 1, position: 70 }],
};

conforms("rows of groups of 3", GROUPS_OF_3);
conforms("rows of a group of 12", GROUP_OF_12);
conforms("rows of groups of 16, in shares", GROUPS_OF_16);
conforms("rows of heads of 256", WIDE_HEADS);
conforms("a prefill chunk", { ...GROUPS_OF_3, rows: chunk(1, 37, 70) });
conforms("a prefill chunk in shares, group of 12", { ...GROUP_OF_12, S: 512, rows: chunk(2, 500, 9) });
conforms("a prefill chunk in shares through a window, groups of 16", {
  ...GROUPS_OF_16,
  rows: chunk(0, 1500, 21),
  window: 600,
});
conforms("a prefill chunk through a short window", {
  ...GROUPS_OF_3,
  d: 48,
  S: 680,
  rows: chunk(2, 0, 60),
  window: 17,
});
conforms("a prefill chunk of heads of 256", { ...WIDE_HEADS, rows: chunk(1, 5, 12) });

const half = (kvLen: number) => Math.ceil(kvLen / 2);
const eighth = (kvLen: number) => Math.ceil(kvLen / 8);
for (const tail of [false, true]) {
  conforms("groups of 3", GROUPS_OF_3, { H: 2, count: half, tail });
  conforms("groups of 3", GROUPS_OF_3, { H: 2, count: eighth, tail, staged: true });
}
conforms("heads of a group of 12", GROUP_OF_12, { H: 12, count: half, tail: true });
conforms("groups of 16, in shares", GROUPS_OF_16, { H: 2, count: half, tail: true });
conforms("heads of 256, all but one", WIDE_HEADS, { H: 1, count: (kvLen) => kvLen - 1, tail: true });

test("the backend of these tests closes", async () => {
  await (await opening)?.close();
});
