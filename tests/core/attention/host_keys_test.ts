import assert from "node:assert/strict";
import { test } from "node:test";
import { dot, HostKeys } from "../../../core/attention/host_keys.ts";
import { consecutiveRows } from "../../../core/model.ts";
import { tensorOf } from "../../../core/tensor_io.ts";
import { cacheOf, tinyModel } from "../../support/tiny_model.ts";
import { normals, seededRandom } from "../../support/seeded_random.ts";

const { backend, config } = await tinyModel(1);
const HEADS = 8;
const D = 8;

/** Appends `count` random tokens from `first` on; returns qkv f32 [count, 8, 8]. */
function append(
  cache: ReturnType<typeof cacheOf>,
  seed: number,
  first: number,
  count: number,
  slot = 0,
): Float32Array {
  const qkv = normals(seededRandom(seed), count * HEADS * D, 1);
  backend.beginStep(consecutiveRows(new Int32Array(count), first, slot));
  backend.appendKv(cache.layers[0], tensorOf(backend, qkv, [count, HEADS, D]));
  return qkv;
}

const keyOf = (qkv: Float32Array, n: number, head: number) =>
  qkv.subarray((n * HEADS + 4 + head) * D, (n * HEADS + 5 + head) * D);

test("upTo() returns the keys of the slot, fetched as they come and again after truncate()", async () => {
  const cache = cacheOf({ backend, config } as Parameters<typeof cacheOf>[0], 40, null, 2);
  const keys = new HostKeys(backend, config);
  append(cache, 1, 0, 40, 0);
  const old = append(cache, 2, 0, 30, 1);
  await keys.upTo(0, cache.layers[0], 1, 20);
  const [, second] = await keys.upTo(0, cache.layers[0], 1, 30);
  for (let n = 0; n < 30; n++) assert.deepEqual(second.slice(n * D, (n + 1) * D), keyOf(old, n, 1).slice());

  const fresh = append(cache, 3, 10, 30, 1);
  keys.truncate(10);
  const [first] = await keys.upTo(0, cache.layers[0], 1, 40);
  for (let n = 0; n < 40; n++) {
    const expected = n < 10 ? keyOf(old, n, 0) : keyOf(fresh, n - 10, 0);
    assert.deepEqual(first.slice(n * D, (n + 1) * D), expected.slice(), `token ${n}`);
  }
  cache.free();
});

test("upTo() gives the rounded keys when the cache is f16", async () => {
  const cache = cacheOf({ backend, config } as Parameters<typeof cacheOf>[0], 8, null, 1, "f16");
  const qkv = append(cache, 4, 0, 8);
  const [keys] = await new HostKeys(backend, config).upTo(0, cache.layers[0], 0, 8);
  keyOf(qkv, 5, 0).forEach((value, c) => {
    assert.ok(Math.abs(keys[5 * D + c] - value) <= Math.abs(value) * 2 ** -11 + 2 ** -25);
  });
  assert.notDeepEqual(keys.slice(5 * D, 6 * D), keyOf(qkv, 5, 0).slice());
  cache.free();
});

test("slotOf() throws when rows are of another slot than before", () => {
  const keys = new HostKeys(backend, config);
  assert.equal(keys.slotOf(consecutiveRows([3], 0, 1)), 1);
  assert.equal(keys.slotOf(consecutiveRows([3], 1, 1)), 1);
  assert.throws(() => keys.slotOf(consecutiveRows([3], 0, 0)), /slots 1 and 0/);
});

test("dot() sums over the channels from each offset", () => {
  assert.equal(dot(Float32Array.of(9, 1, 2), 1, Float32Array.of(3, 4), 0, 2), 11);
});
