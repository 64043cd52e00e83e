import assert from "node:assert/strict";
import { test } from "node:test";
import { readSafetensors } from "../../../core/formats/safetensors.ts";
import { ByteWriter } from "../../support/byte_writer.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { assertRefused } from "../../support/refusals.ts";
import { safetensorsFile, safetensorsOf } from "../../support/safetensors_file.ts";

async function read(bytes: Uint8Array) {
  return await readSafetensors(await new MemoryFiles({ f: bytes }).open("f"));
}

function header(tensors: unknown, dataBytes = 8): Uint8Array {
  return safetensorsOf(
    typeof tensors === "string" ? tensors : JSON.stringify(tensors),
    new Uint8Array(dataBytes),
  );
}

const good = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
const refused = (bytes: Uint8Array, message: RegExp) => assertRefused(read(bytes), "bad-data", message);

test("readSafetensors() finds type, shape and place of every tensor", async () => {
  const bytes = safetensorsFile([
    { name: "a", dtype: "F32", shape: [1, 2], bytes: new Uint8Array(8).fill(1) },
    { name: "b", dtype: "BF16", shape: [3], bytes: new Uint8Array(6).fill(2) },
    { name: "none", dtype: "F16", shape: [0, 4], bytes: new Uint8Array(0) },
    { name: "scalar", dtype: "I64", shape: [], bytes: new Uint8Array(8).fill(3) },
  ]);
  const tensors = await read(bytes);
  assert.deepEqual([...tensors.keys()], ["a", "b", "none", "scalar"]);
  const b = tensors.get("b")!;
  assert.equal(b.dtype, "bf16");
  assert.deepEqual(b.shape, [3]);
  assert.deepEqual([...bytes.subarray(b.offset, b.offset + 6)], [2, 2, 2, 2, 2, 2]);
  assert.equal(tensors.get("scalar")!.dtype, null);
});

test("readSafetensors() accepts a header padded with spaces and tensors listed out of order", async () => {
  const text = JSON.stringify({ b: { ...good, data_offsets: [8, 16] }, a: good }) + "     ";
  assert.equal((await read(header(text, 16))).size, 2);
});

test("readSafetensors() refuses files without room for what they announce", async () => {
  await refused(new Uint8Array(0), /at least 8 bytes/);
  await refused(new Uint8Array(7), /at least 8 bytes/);
  for (const length of [9n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 64n - 1n, 25_000_001n]) {
    await refused(new ByteWriter().u64(length).bytes(new Uint8Array(8)).done(), /header/);
  }
});

test("readSafetensors() refuses headers that are not a JSON object of tensors", async () => {
  await refused(header(""), /begin with {/);
  await refused(header("[]"), /begin with {/);
  await refused(header(' {"a":1}'), /begin with {/);
  await refused(safetensorsOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), /UTF-8/);
  await refused(header('{"a": NaN}'), /not JSON/);
  await refused(header(`{"a":${"[".repeat(1e5)}`), /nested/);
  await refused(header({ a: 3 }), /"a": found 3/);
  await refused(header({ a: [good] }), /"a": found a list/);
});

test("readSafetensors() refuses names given twice", async () => {
  const item = JSON.stringify(good);
  await refused(header(`{"a":${item},"a":${item}}`), /"a" twice/);
  await refused(
    header(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`),
    /"dtype" twice/,
  );
});

test("readSafetensors() treats names of inherited properties as ordinary names", async () => {
  const tensors = await read(header(`{"__proto__":${JSON.stringify(good)}}`));
  assert.deepEqual([...tensors.keys()], ["__proto__"]);
  await refused(header(`{"a":{"__proto__":${JSON.stringify(good)}}}`), /only dtype, shape and data_offsets/);
  await refused(header({ __metadata__: { a: 1 }, a: good }), /__metadata__/);
  await refused(header({ __metadata__: "x", a: good }), /__metadata__/);
});

test("readSafetensors() refuses offsets that do not tile the data", async () => {
  const at = (data_offsets: unknown) => header({ a: { ...good, data_offsets } });
  for (const offsets of [[-8, 0], [0.5, 8.5], [0, 2 ** 53], [8, 0], [0, 8, 8], [0], "0", null, [0, "8"]]) {
    await refused(at(offsets), /"a"/);
  }
  await refused(at([0, 4]), /does not fill/);
  await refused(at([4, 12]), /gap/);
  await refused(at([8, 16]), /gap of 8 bytes/);
  await refused(header({ a: good }, 9), /holds 9/);
  await refused(header({ a: good }, 7), /holds 7/);
  await refused(header({ a: good, b: good }, 8), /overlaps/);
  await refused(header({ a: good, b: { ...good, data_offsets: [4, 12] } }, 12), /overlaps/);
  await refused(header({ a: good, b: { ...good, data_offsets: [12, 20] } }, 20), /gap of 4/);
});

test("readSafetensors() refuses shapes and types that cannot be", async () => {
  const shaped = (shape: unknown) => header({ a: { ...good, shape } });
  for (
    const shape of [
      [-2],
      [1.5],
      ["2"],
      [2 ** 60],
      [2 ** 30, 2 ** 30],
      2,
      null,
      new Array(1000).fill(1),
      [3],
      [0],
    ]
  ) {
    await refused(shaped(shape), /"a"/);
  }
  await refused(header({ a: { ...good, dtype: "F7" } }), /unknown type "F7"/);
  await refused(header({ a: { ...good, dtype: 7 } }), /found 7/);
  await refused(header({ a: { ...good, dtype: "F16" } }), /does not fill/);
  await refused(header({ a: { dtype: "F32", shape: [2] } }), /data_offsets/);
});

test("readSafetensors() reads 100,000 tensors and refuses one more", async () => {
  const item = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
  const many = (count: number) => `{${Array.from({ length: count }, (_, i) => `"t${i}":${item}`).join()}}`;
  assert.equal((await read(header(many(100_000), 0))).size, 100_000);
  await refused(header(many(100_001), 0), /100001 tensors/);
});
