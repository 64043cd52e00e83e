import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../backends/reference/backend.ts";
import type { Backend, LayerCache, Scores, Selection, StepRows, TensorSpec } from "../../core/backend.ts";
import { checked } from "../../core/checked.ts";

const [T, Hq, Hk, S, d, slots, K] = [2, 4, 2, 70, 8, 2, 10];
const FORCED = { sinkTokens: 1, recentTokens: 2 };

function rowsOf(positions: readonly number[], rest: Partial<StepRows> = {}): StepRows {
  const places = Int32Array.from(positions);
  const zeros = new Int32Array(places.length);
  return { tokens: zeros, slots: zeros.map((_, t) => t % slots), positions: places, homes: places, ...rest };
}

/** Everything the ops need, in the right shapes. */
async function workshop() {
  const backend = checked(await openReference());
  const f32 = (...shape: number[]) => backend.alloc({ dtype: "f32", shape });
  const i32 = (...shape: number[]) => backend.alloc({ dtype: "i32", shape });
  const cache: LayerCache = {
    kv: f32(slots, Hk, S, 2, d),
    labels: {
      layout: { wide: 8, narrow: 0 },
      words: backend.alloc({ dtype: "u32", shape: [slots, Hk, S, 1] }),
      channels: i32(Hk, 8),
      zero: f32(Hk, 8),
      step: f32(Hk, 8),
      inverseStep: f32(Hk, 8),
      valueSums: f32(slots, Hk, 2, d),
    },
  };
  const scores: Scores = { headDim: d, scores: i32(T, Hq, S), exponents: i32(T, Hq), maxima: i32(T, Hq) };
  const selection: Selection = { indices: i32(T, Hk, K), counts: i32(T, Hk), tailMass: f32(T, Hq) };
  backend.beginStep(rowsOf([5, 6]));
  return {
    backend,
    f32,
    i32,
    cache,
    scores,
    selection,
    qkv: f32(T, Hq + 2 * Hk, d),
    heads: f32(T, Hq, d),
    heavy: i32(T, Hk),
  };
}

type Workshop = Awaited<ReturnType<typeof workshop>>;
type Kind = typeof TypeError | typeof RangeError;

/** A call that must be refused with one sentence that holds these words. */
function refuses(
  name: string,
  kind: Kind,
  words: readonly string[],
  call: (w: Workshop) => void | Promise<unknown>,
): void {
  test(`checked() refuses ${name}`, async () => {
    const w = await workshop();
    const matches = (error: unknown) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.match(error.message, /^Cannot [a-z].* as .* must .*: /);
      for (const word of words) assert.ok(error.message.includes(word), `"${word}" in "${error.message}"`);
      return true;
    };
    await assert.rejects(async () => await call(w), matches);
  });
}

const alloc = (spec: unknown) => ({ backend }: Workshop) => void backend.alloc(spec as TensorSpec);
refuses("a tensor without axes", RangeError, ["1 to 5 axes", "[]"], alloc({ dtype: "f32", shape: [] }));
refuses("an axis of nothing", RangeError, ["1 or more", "0"], alloc({ dtype: "f32", shape: [3, 0] }));
refuses("half an axis", RangeError, ["integer", "2.5"], alloc({ dtype: "f32", shape: [2.5] }));
refuses(
  "more than can be counted",
  RangeError,
  ["safe integer"],
  alloc({ dtype: "f32", shape: [2 ** 30, 2 ** 30] }),
);
refuses("an unknown type", TypeError, ["dtype", "q3"], alloc({ dtype: "q3", shape: [32] }));
refuses("a broken block", RangeError, ["q8_0", "32", "40"], alloc({ dtype: "q8_0", shape: [40] }));
refuses("an unknown place", TypeError, ["place", "moon"], alloc({ dtype: "f32", shape: [1], place: "moon" }));

refuses("a freed tensor", TypeError, ["x", "was freed"], ({ backend, f32 }) => {
  const x = f32(2, 2);
  backend.free(x);
  backend.add(x, f32(2, 2));
});
refuses("freeing twice", TypeError, ["free", "was freed"], ({ backend, f32 }) => {
  const x = f32(1);
  backend.free(x);
  backend.free(x);
});
refuses("a tensor of another backend", TypeError, ["another backend"], async ({ backend, f32 }) => {
  const other = (await openReference()).alloc({ dtype: "f32", shape: [2, 2] });
  backend.add(f32(2, 2), other);
});
refuses("what is no tensor", TypeError, ["undefined"], ({ backend }) => backend.free(undefined as never));
refuses("use after close", TypeError, ["open", "closed"], async ({ backend, f32 }) => {
  const x = f32(2);
  await backend.close();
  backend.add(x, x);
});
refuses("a download after close", TypeError, ["closed"], async ({ backend, f32 }) => {
  const x = f32(2);
  await backend.close();
  await backend.download(x);
});

refuses("part of a row up", RangeError, ["whole rows of 16 bytes", "8 bytes from 16"], ({ backend, f32 }) => {
  backend.upload(f32(3, 4), new Uint8Array(8), 16);
});
refuses("an upload beyond the end", RangeError, ["within 48 bytes", "64"], ({ backend, f32 }) => {
  backend.upload(f32(3, 4), new Uint8Array(32), 32);
});
refuses("a negative offset", RangeError, ["byteOffset", "-16"], async ({ backend, f32 }) => {
  await backend.download(f32(3, 4), -16);
});
refuses("bytes that are none", TypeError, ["Uint8Array"], ({ backend, f32 }) => {
  backend.upload(f32(4), new Float32Array(4) as never);
});
refuses("packed weights down", TypeError, ["q8_0", "scalar"], async ({ backend }) => {
  await backend.download(backend.alloc({ dtype: "q8_0", shape: [1, 32] }));
});

const step = (rows: StepRows) => ({ backend }: Workshop) => backend.beginStep(rows);
refuses("a step without rows", RangeError, ["at least 1"], step(rowsOf([])));
refuses(
  "rows of unequal length",
  RangeError,
  ["slots", "2", "1"],
  step(rowsOf([1, 2], { slots: new Int32Array(1) })),
);
refuses("plain arrays", TypeError, ["homes", "Int32Array"], step(rowsOf([1], { homes: [1] as never })));
refuses("a negative position", RangeError, ["positions[1]", "-3"], step(rowsOf([1, -3])));
refuses(
  "two rows at one home",
  RangeError,
  ["homes[1]", "slot 0", "7"],
  step(rowsOf([6, 7], { slots: new Int32Array(2), homes: Int32Array.of(7, 7) })),
);
refuses(
  "a private row where another row looks",
  RangeError,
  ["homes[0]", "beyond", "4"],
  step(rowsOf([2, 9], { slots: new Int32Array(2), homes: Int32Array.of(4, 9) })),
);
refuses(
  "a private row before itself",
  RangeError,
  ["homes[0]", "3"],
  step(rowsOf([9], { homes: Int32Array.of(3) })),
);
test("checked() refuses rows before any step", async () => {
  const backend = checked(await openReference());
  const out = backend.alloc({ dtype: "f32", shape: [1, 2] });
  assert.throws(() => backend.embed(out, out), /beginStep/);
});

refuses("a slot the cache lacks", RangeError, ["slots", "2", "7"], ({ backend, cache, qkv }) => {
  backend.beginStep(rowsOf([1, 2], { slots: Int32Array.of(0, 7) }));
  backend.appendKv(cache, qkv);
});
refuses(
  "a position beyond the capacity",
  RangeError,
  ["positions", "70", "71"],
  ({ backend, cache, qkv }) => {
    backend.beginStep(rowsOf([71, 2]));
    backend.appendKv(cache, qkv);
  },
);
refuses("a home beyond the capacity", RangeError, ["homes", "70", "99"], ({ backend, cache, qkv }) => {
  backend.beginStep(rowsOf([1, 2], { homes: Int32Array.of(1, 99) }));
  backend.appendKv(cache, qkv);
});
refuses("a token beyond the table", RangeError, ["token", "below the table's 3", "9"], ({ backend, f32 }) => {
  backend.beginStep(rowsOf([0], { tokens: Int32Array.of(9) }));
  backend.embed(f32(1, 4), f32(3, 4));
});

refuses(
  "another row count",
  TypeError,
  ["out", "[2, 4]", "[3, 4]"],
  ({ backend, f32 }) => backend.embed(f32(3, 4), f32(9, 4)),
);
refuses("gathering into itself", TypeError, ["another tensor than x"], ({ backend, f32, i32 }) => {
  const x = f32(2, 2);
  backend.gatherRows(x, x, i32(2));
});
refuses("a norm of another width", TypeError, ["weight", "[8]", "[7]"], ({ backend, f32 }) => {
  backend.rmsNorm(f32(2, 8), f32(2, 8), f32(7), 1e-5);
});
refuses("a negative epsilon", RangeError, ["epsilon", "-1"], ({ backend, f32 }) => {
  backend.rmsNorm(f32(2, 8), f32(2, 8), f32(8), -1);
});
refuses("an input of another width", TypeError, ["x", "8 values", "[2, 9]"], ({ backend, f32 }) => {
  backend.linear(f32(2, 3), f32(2, 9), f32(3, 8), null);
});
refuses("columns beyond out", RangeError, ["column", "5 columns", "6"], ({ backend, f32 }) => {
  backend.linear(f32(2, 5), f32(2, 8), f32(3, 8), null, 3);
});
refuses("a bias of another length", TypeError, ["bias", "[3]", "[4]"], ({ backend, f32 }) => {
  backend.linear(f32(2, 3), f32(2, 8), f32(3, 8), f32(4));
});
refuses("a product over its input", TypeError, ["another tensor than x"], ({ backend, f32 }) => {
  const x = f32(2, 8);
  backend.linear(x, x, f32(8, 8), null);
});
refuses("integers as weights", TypeError, ["weight", "i32"], ({ backend, f32, i32 }) => {
  backend.linear(f32(2, 3), f32(2, 8), i32(3, 8), null);
});
refuses(
  "too short a rotary table",
  RangeError,
  ["position", "below the table's 6", "6"],
  ({ backend, f32, qkv }) => {
    backend.rope(qkv, f32(6, 2, 4), { numHeads: Hq, numKvHeads: Hk });
  },
);
refuses("other head counts", TypeError, ["qkv", "[2, 7, 8]", "[2, 8, 8]"], ({ backend, f32, qkv }) => {
  backend.rope(qkv, f32(9, 2, 4), { numHeads: 5, numKvHeads: 1 });
});
refuses("a norm without epsilon", RangeError, ["epsilon"], ({ backend, f32, qkv }) => {
  backend.rope(qkv, f32(9, 2, 4), { numHeads: Hq, numKvHeads: Hk }, { queryNorm: f32(d) });
});
refuses(
  "half a gate",
  TypeError,
  ["gateUp", "[2, 6]", "[2, 5]"],
  ({ backend, f32 }) => backend.swiglu(f32(2, 3), f32(2, 5)),
);
refuses(
  "adding another shape",
  TypeError,
  ["y", "[2, 3]", "[3, 2]"],
  ({ backend, f32 }) => backend.add(f32(2, 3), f32(3, 2)),
);
refuses(
  "a token of floats",
  TypeError,
  ["token", "i32 [2]", "f32 [2]"],
  ({ backend, f32 }) => backend.argmax(f32(2), f32(2, 9)),
);
refuses("more experts than there are", RangeError, ["3", "4"], ({ backend, f32, i32 }) => {
  backend.routeExperts(i32(2, 4), f32(2, 4), f32(2, 3), true);
});
refuses(
  "experts' output without its axis",
  TypeError,
  ["out", "[2, 2, 3]", "[2, 3]"],
  ({ backend, f32, i32 }) => {
    backend.linearExperts(f32(2, 3), f32(2, 8), f32(4, 3, 8), i32(2, 2), null);
  },
);

refuses("heads that do not divide", TypeError, ["qkv", "multiple of 2"], ({ backend, cache, f32 }) => {
  backend.appendKv(cache, f32(T, 5 + 2 * Hk, d));
});
refuses(
  "too few value sums",
  TypeError,
  ["valueSums", "[2, 2, 2, 8]", "[2, 2, 1, 8]"],
  ({ backend, cache, qkv, f32 }) => {
    backend.appendKv({ ...cache, labels: { ...cache.labels!, valueSums: f32(slots, Hk, 1, d) } }, qkv);
  },
);
refuses("a layout of broken words", RangeError, ["layout", "4x4+0x2"], ({ backend, cache, qkv }) => {
  backend.appendKv({ ...cache, labels: { ...cache.labels!, layout: { wide: 4, narrow: 0 } } }, qkv);
});
refuses(
  "attending into qkv's shape",
  TypeError,
  ["out", "[2, 4, 8]", "[2, 8, 8]"],
  ({ backend, cache, qkv, f32 }) => {
    backend.attend(f32(T, Hq + 2 * Hk, d), qkv, cache, { scale: 1 });
  },
);
refuses("a scale that is no number", RangeError, ["scale", "NaN"], ({ backend, cache, qkv, heads }) => {
  backend.attend(heads, qkv, cache, { scale: NaN });
});
refuses("a negative window", RangeError, ["window", "-1"], ({ backend, cache, qkv, heads }) => {
  backend.attend(heads, qkv, cache, { scale: 1, window: -1 });
});
refuses("scoring without labels", TypeError, ["labels", "null"], ({ backend, cache, qkv, scores }) => {
  backend.scoreLabels(scores, qkv, { ...cache, labels: null });
});
refuses(
  "scores of another capacity",
  TypeError,
  ["scores.scores", "[2, 4, 70]", "[2, 4, 71]"],
  ({ backend, cache, qkv, scores, i32 }) => {
    backend.scoreLabels({ ...scores, scores: i32(T, Hq, S + 1) }, qkv, cache);
  },
);
refuses("sets that do not divide the heads", TypeError, ["indices", "divisor of 4"], (w) => {
  w.backend.selectTokens({ ...w.selection, indices: w.i32(T, 3, K) }, w.scores, w.i32(T, 3), FORCED);
});
refuses("budgets of another shape", TypeError, ["heavyTokens", "[2, 2]", "[2, 4]"], (w) => {
  w.backend.selectTokens(w.selection, w.scores, w.i32(T, Hq), FORCED);
});
refuses("no room for the forced", RangeError, ["K", "7 forced", "3"], (w) => {
  const selection = { ...w.selection, indices: w.i32(T, Hk, 3) };
  w.backend.selectTokens(selection, w.scores, w.heavy, { sinkTokens: 4, recentTokens: 16 });
});
refuses("a negative number of sinks", RangeError, ["sinkTokens", "-1"], (w) => {
  w.backend.selectTokens(w.selection, w.scores, w.heavy, { sinkTokens: -1, recentTokens: 0 });
});
refuses("a tail without labels", TypeError, ["labels", "tail"], (w) => {
  const options = { scale: 1, tail: { scores: w.scores, forced: FORCED } };
  w.backend.attendSelected(w.heads, w.qkv, { ...w.cache, labels: null }, w.selection, options);
});
refuses("staged rows per query head", RangeError, ["KV head", "4"], (w) => {
  const selection = { ...w.selection, indices: w.i32(T, Hq, K), counts: w.i32(T, Hq) };
  w.backend.attendSelected(w.heads, w.qkv, w.cache, selection, { scale: 1, staging: w.f32(T, Hk, K, 2, d) });
});
refuses("staging of another type", TypeError, ["staging", "f32", "f16"], async (w) => {
  const staging = w.backend.alloc({ dtype: "f16", shape: [T, Hk, K, 2, d] });
  await w.backend.fetchRows(staging, w.cache, w.selection);
});

test("checked() lets every well-formed call through", async () => {
  const w = await workshop();
  const { backend, f32, i32, cache, qkv, heads, scores, selection, heavy } = w;
  const x = f32(T, d);
  backend.embed(x, f32(3, d));
  backend.rmsNorm(x, x, f32(d), 0);
  backend.linear(qkv, x, f32((Hq + 2 * Hk) * d, d), null);
  backend.rope(qkv, f32(9, 2, d / 2), { numHeads: Hq, numKvHeads: Hk });
  backend.appendKv(cache, qkv);
  backend.attend(heads, qkv, cache, { scale: 1 });
  backend.scoreLabels(scores, qkv, cache);
  backend.upload(heavy, new Uint8Array(Int32Array.of(4, 5, 6, 7).buffer));
  backend.selectTokens(selection, scores, heavy, FORCED);
  const staging = f32(T, Hk, K, 2, d);
  await backend.fetchRows(staging, cache, selection);
  const tail = { scores, forced: FORCED };
  backend.attendSelected(heads, qkv, cache, selection, { scale: 1, tail, staging });
  backend.linear(x, heads, f32(d, Hq * d), f32(d));
  backend.add(x, x);
  backend.argmax(i32(T), x);
  backend.submit();
  assert.equal((await backend.download(heads)).byteLength, 4 * T * Hq * d);
  await backend.close();
  await backend.close();
});

test("checked() wraps once", async () => {
  const backend: Backend = checked(await openReference());
  assert.equal(checked(backend), backend);
  assert.equal(backend.name, "reference");
  assert.ok(backend.device.name.endsWith("plain TypeScript"));
});
