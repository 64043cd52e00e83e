import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "../../core/half.ts";
import { bytesOfArray, downloadFloats, downloadInts, encodeFloats, tensorOf } from "../../core/tensor_io.ts";

const backend = await openBackend("reference");
const VALUES = Float32Array.of(0, 1, -2.5, 1e-3, 3.14159, -65504, 0.1, 7);

test("tensorOf() and the downloads give the values back, with the type of the array", async () => {
  const floats = tensorOf(backend, VALUES, [2, 4]);
  assert.equal(floats.dtype, "f32");
  assert.deepEqual(floats.shape, [2, 4]);
  assert.deepEqual(await downloadFloats(backend, floats), VALUES);
  const ints = tensorOf(backend, Int32Array.of(-1, 2 ** 31 - 1), [2]);
  assert.equal(ints.dtype, "i32");
  assert.deepEqual(await downloadInts(backend, ints), Int32Array.of(-1, 2 ** 31 - 1));
  assert.equal(tensorOf(backend, Uint32Array.of(1), [1]).dtype, "u32");
});

test("downloadFloats() reads a range when one is given", async () => {
  const tensor = tensorOf(backend, VALUES, [4, 2]);
  assert.deepEqual(await downloadFloats(backend, tensor, 8, 16), VALUES.slice(2, 6));
});

for (const dtype of ["f16", "bf16"] as const) {
  test(`encodeFloats() and downloadFloats() round to ${dtype}`, async () => {
    const tensor = backend.alloc({ dtype, shape: [2, 4] });
    const bytes = encodeFloats(VALUES, dtype);
    assert.equal(bytes.length, 16);
    backend.upload(tensor, bytes);
    const expected = VALUES.map((value) => dtype === "f16" ? fromF16(toF16(value)) : fromBf16(toBf16(value)));
    assert.deepEqual(await downloadFloats(backend, tensor), expected);
    assert.notDeepEqual(expected, VALUES);
    assert.deepEqual(await downloadFloats(backend, tensor, 8, 8), expected.slice(4));
  });
}

test("encodeFloats() gives the array's own bytes when the type is f32", () => {
  assert.deepEqual(encodeFloats(VALUES, "f32"), bytesOfArray(VALUES));
  assert.deepEqual(bytesOfArray(VALUES.subarray(1, 2)), Uint8Array.of(0, 0, 128, 63));
});

test("downloadFloats() throws when the tensor holds integers", async () => {
  await assert.rejects(downloadFloats(backend, tensorOf(backend, Int32Array.of(1), [1])), TypeError);
});
