import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { ReferenceTensor } from "../../../backends/reference/tensor.ts";
import { DsError } from "../../../core/errors.ts";

function refusal(...needed: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DsError && error.kind === "out-of-memory", `${error}`);
    for (const words of needed) assert.ok(error.message.includes(words), `"${words}" in "${error.message}"`);
    return true;
  };
}

test("alloc() refuses what the machine does not have, with both numbers", async () => {
  const backend = await openReference(1000);
  const first = backend.alloc({ dtype: "f32", shape: [150] });
  const alloc = () => backend.alloc({ dtype: "f16", shape: [3, 50] });
  assert.throws(alloc, refusal("f16 tensor of [3, 50]", "600 bytes", "600 of the 1000 bytes"));
  backend.free(first);
  assert.equal(alloc().byteLength, 300);
});

test("alloc() refuses one entry larger than a chunk, before taking any memory", async () => {
  const backend = await openReference();
  assert.throws(
    () => backend.alloc({ dtype: "f32", shape: [2 ** 40] }),
    refusal("4398046511104 bytes", "1073741824"),
  );
  assert.throws(() => backend.alloc({ dtype: "f32", shape: [2, 2 ** 29] }), refusal("4294967296 bytes"));
});

test("a tensor beyond 1 GiB lies in chunks cut between rows", () => {
  const [rows, columns] = [5, 100_000_000];
  // u8 keeps this cheap: untouched pages of a zero-filled array cost nothing.
  const tensor = new ReferenceTensor({ dtype: "u8", shape: [rows * 4, columns] });
  assert.deepEqual(tensor.chunks.map((chunk) => chunk.length), [1_000_000_000, 1_000_000_000]);
  tensor.write(Uint8Array.of(7, 8, 9), 10 * columns - 1);
  assert.deepEqual([...tensor.read(10 * columns - 2, 5)], [0, 7, 8, 9, 0]);
  assert.equal(tensor.chunk(10 * columns), tensor.chunks[1]);
  assert.equal(tensor.offset(10 * columns + 3), 3);
});

test("a cache beyond 1 GiB per slot is cut between its heads", () => {
  const tensor = new ReferenceTensor({ dtype: "u8", shape: [2, 3, 2 ** 19, 2, 512] });
  assert.deepEqual(tensor.chunks.map((chunk) => chunk.length / 2 ** 29), [2, 2, 2]);
});
