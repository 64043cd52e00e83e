import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backend, LayerCache } from "../../core/backend.ts";
import { importance, importanceScale, quantiseQuery } from "../../core/importance.ts";
import { labelWords } from "../../core/labels.ts";
import { downloadFloats, downloadInts, tensorOf } from "../../core/tensor_io.ts";
import { missingShared, sharedJson, sharedPath } from "./shared_data.ts";
import { skip } from "./skip.ts";

const FILE = "golden/selection.json";

interface Case {
  readonly d: number;
  readonly groupSize: number;
  readonly kvLen: number;
  readonly wide: number;
  readonly narrow: number;
  readonly heavyTokens: number;
  readonly sinkTokens: number;
  readonly recentTokens: number;
  readonly channels: readonly number[];
  readonly keys: string;
  readonly values: string;
  readonly query: string;
  readonly zero: string;
  readonly step: string;
  readonly inverseStep: string;
  readonly labels: string;
  readonly exponents: readonly number[];
  readonly quantisedQuery: readonly (readonly number[])[];
  readonly scores: readonly string[];
  readonly importance: string;
  readonly selected: readonly number[];
  readonly output: {
    readonly dense: readonly (readonly number[])[];
    readonly sparse: readonly (readonly number[])[];
    readonly sparseNoTail: readonly (readonly number[])[];
    readonly tailShare: readonly number[];
  };
}

/** The selection worked out by an independent implementation, or null where it does not lie beside the project. */
export const golden: { readonly table: readonly number[]; readonly cases: readonly Case[] } | null =
  sharedPath(FILE) === null ? null : sharedJson(FILE);

/** What a skipped test says. */
export const missingGolden = missingShared(FILE);

const floatsOf = (text: string) => new Float32Array(bytesOf(text).buffer);
const intsOf = (text: string) => new Int32Array(bytesOf(text).buffer);
const wordsOf = (text: string) => new Uint32Array(bytesOf(text).buffer);

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** All tokens of a case in one cache of one slot, the last of them the row under test. */
async function decodeStep(backend: Backend, golden: Case) {
  const { d, groupSize: g, kvLen, wide, narrow } = golden;
  const layout = { wide, narrow };
  const C = wide + narrow;
  const S = kvLen + 3;
  const heads = g + 2;
  const cache: LayerCache = {
    kv: backend.alloc({ dtype: "f32", shape: [1, 1, S, 2, d] }),
    labels: {
      layout,
      words: backend.alloc({ dtype: "u32", shape: [1, 1, S, labelWords(layout)] }),
      channels: tensorOf(backend, Int32Array.from(golden.channels), [1, C]),
      zero: tensorOf(backend, floatsOf(golden.zero), [1, C]),
      step: tensorOf(backend, floatsOf(golden.step), [1, C]),
      inverseStep: tensorOf(backend, floatsOf(golden.inverseStep), [1, C]),
      valueSums: backend.alloc({ dtype: "f32", shape: [1, 1, Math.ceil(S / 64), d] }),
    },
  };
  const keys = floatsOf(golden.keys);
  const values = floatsOf(golden.values);
  const prefill = new Float32Array(kvLen * heads * d);
  for (let n = 0; n < kvLen; n++) {
    prefill.set(keys.subarray(n * d, (n + 1) * d), (n * heads + g) * d);
    prefill.set(values.subarray(n * d, (n + 1) * d), (n * heads + g + 1) * d);
  }
  const positions = Int32Array.from({ length: kvLen }, (_, n) => n);
  const zeros = new Int32Array(kvLen);
  backend.beginStep({ tokens: zeros, slots: zeros, positions, homes: positions });
  backend.appendKv(cache, tensorOf(backend, prefill, [kvLen, heads, d]));

  const row = prefill.slice((kvLen - 1) * heads * d);
  row.set(floatsOf(golden.query));
  const last = Int32Array.of(kvLen - 1);
  backend.beginStep({ tokens: Int32Array.of(0), slots: Int32Array.of(0), positions: last, homes: last });
  const qkv = tensorOf(backend, row, [1, heads, d]);
  backend.appendKv(cache, qkv);
  const scores = {
    headDim: d,
    scores: backend.alloc({ dtype: "i32", shape: [1, g, S] }),
    exponents: backend.alloc({ dtype: "i32", shape: [1, g] }),
    maxima: backend.alloc({ dtype: "i32", shape: [1, g] }),
  };
  const selection = {
    indices: backend.alloc({ dtype: "i32", shape: [1, 1, S] }),
    counts: backend.alloc({ dtype: "i32", shape: [1, 1] }),
    tailMass: backend.alloc({ dtype: "f32", shape: [1, g] }),
  };
  const forced = { sinkTokens: golden.sinkTokens, recentTokens: golden.recentTokens };
  backend.scoreLabels(scores, qkv, cache);
  backend.selectTokens(
    selection,
    scores,
    tensorOf(backend, Int32Array.of(golden.heavyTokens), [1, 1]),
    forced,
  );
  const attendWith = async (run: (out: ReturnType<Backend["alloc"]>) => void) => {
    const out = backend.alloc({ dtype: "f32", shape: [1, g, d] });
    run(out);
    return await downloadFloats(backend, out);
  };
  const scale = 1 / Math.sqrt(d);
  return {
    S,
    words: new Uint32Array((await backend.download(cache.labels!.words)).buffer),
    scores: await downloadInts(backend, scores.scores),
    exponents: await downloadInts(backend, scores.exponents),
    maxima: await downloadInts(backend, scores.maxima),
    indices: await downloadInts(backend, selection.indices),
    counts: await downloadInts(backend, selection.counts),
    dense: await attendWith((out) => backend.attend(out, qkv, cache, { scale })),
    sparse: await attendWith((out) =>
      backend.attendSelected(out, qkv, cache, selection, { scale, tail: { scores, forced } })
    ),
    sparseNoTail: await attendWith((out) => backend.attendSelected(out, qkv, cache, selection, { scale })),
  };
}

/** A test per worked case on one backend; skipped for the reason of its `absence`. */
export function testWorkedCases(open: () => Promise<Backend>, absence: string | null = null): void {
  let opening: Promise<Backend> | null = null;
  for (const [i, worked] of (golden?.cases ?? []).entries()) {
    const { d, groupSize: g, kvLen, wide, narrow } = worked;
    test(`worked case ${i} comes out: d ${d}, g ${g}, kvLen ${kvLen}, ${wide}x4+${narrow}x2`, async (t) => {
      if (absence !== null) return skip(t, absence);
      await checkWorkedCase(await (opening ??= open()), worked);
    });
  }

  test("every worked case was run", async (t) => {
    if (golden === null) return skip(t, missingGolden);
    assert.ok(golden.cases.length >= 11);
    await (await opening)?.close();
  });
}

async function checkWorkedCase(backend: Backend, worked: Case): Promise<void> {
  const { d, groupSize: g, kvLen, wide, narrow } = worked;
  const step = await decodeStep(backend, worked);
  assert.deepEqual(step.words.subarray(0, wordsOf(worked.labels).length), wordsOf(worked.labels));
  assert.deepEqual([...step.exponents], worked.exponents);

  const codes = new Int32Array(wide + narrow);
  const total = new Uint32Array(kvLen);
  for (let h = 0; h < g; h++) {
    const channels = Int32Array.from(worked.channels);
    const e = quantiseQuery(codes, floatsOf(worked.query), h * d, channels, floatsOf(worked.step), 0);
    assert.equal(e, worked.exponents[h]);
    assert.deepEqual([...codes], worked.quantisedQuery[h]);
    const scores = step.scores.subarray(h * step.S, h * step.S + kvLen);
    assert.deepEqual(scores, intsOf(worked.scores[h]));
    assert.equal(step.maxima[h], scores.reduce((most, score) => Math.max(most, score), -Infinity));
    const scale = importanceScale(d, e);
    for (let n = 0; n < kvLen; n++) total[n] += importance(step.maxima[h] - scores[n], scale);
  }
  assert.deepEqual(total, wordsOf(worked.importance));
  assert.deepEqual([...step.indices.subarray(0, step.counts[0])], worked.selected);

  for (const kind of ["dense", "sparse", "sparseNoTail"] as const) {
    const wanted = worked.output[kind].flat();
    const worst = wanted.reduce((most, value, j) => Math.max(most, Math.abs(value - step[kind][j])), 0);
    assert.ok(worst < 1e-5, `${kind}: off by ${worst}`);
  }
  const values = floatsOf(worked.values);
  for (let h = 0; h < g; h++) {
    const share = tailShare(values, worked.selected, step.sparse, step.sparseNoTail, h, d);
    assert.ok(Math.abs(share - worked.output.tailShare[h]) < 1e-5, `tail of head ${h}: ${share}`);
  }
}

/** The weight s with which out = (1 - s)·(without tail) + s·(mean V of the others): its least-squares value over the channels. */
function tailShare(
  values: Float32Array,
  selected: readonly number[],
  sparse: ArrayLike<number>,
  noTail: ArrayLike<number>,
  head: number,
  d: number,
): number {
  const kvLen = values.length / d;
  const chosen = new Set(selected);
  if (chosen.size === kvLen) return 0;
  let product = 0;
  let square = 0;
  for (let c = 0; c < d; c++) {
    let others = 0;
    for (let n = 0; n < kvLen; n++) if (!chosen.has(n)) others += values[n * d + c] / (kvLen - chosen.size);
    const i = head * d + c;
    product += (sparse[i] - noTail[i]) * (others - noTail[i]);
    square += (others - noTail[i]) ** 2;
  }
  return product / square;
}
