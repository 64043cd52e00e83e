import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { bytesOf, isBlockDType } from "../../core/dtype.ts";
import type { DType } from "../../core/dtype.ts";
import type { StoredDType } from "../../core/formats/checkpoint.ts";
import { decodeRows, STORED_DTYPES, storedBlock, storedBytes } from "../../core/quantisation.ts";
import { sha256Hex } from "../../core/sha256.ts";
import { bytesOfArray } from "../../core/tensor_io.ts";
import { skip } from "../support/skip.ts";

const golden = new URL("../../../shared/data/golden/gguf-blocks.json", import.meta.url);

/** SHA-256, first half, of the little-endian f32 values that the gguf Python package decodes from `sampleBytes`. */
const DIGESTS: Readonly<Record<StoredDType, string>> = {
  f32: "405862de5ba25f925d198842740c12cc",
  f16: "9b19b2a8cede7ed4014b4f76a6add3b7",
  bf16: "ed01dbcdbbc52ed6a1fb61046e6292d2",
  q8_0: "2286aa8b576cbfd20c2745a9e9da3c06",
  q4_0: "f5661f4f274e63bfb83d2d9a54e8ea3c",
  q4_1: "e7bd7df182e2738698380b46f9686f37",
  q5_0: "a4f6c203b273daa002a645a2e66a5b29",
  q5_1: "2d34b73b58fb2e11289aa764c8973772",
  q2_k: "19ba60bc763bc5432804906397d1fb95",
  q3_k: "0badd282a1c4b5ba99d2735741aeb1c9",
  q4_k: "b3ee2d1537967cf7029cc2f635b1c6a6",
  q5_k: "3b86a4d5080b9a0d704ae3f0f8245190",
  q6_k: "083afaf2ac8e757255575ae84fa5495a",
  iq4_nl: "c7e4a2917bf39aa12027d01d6006eb03",
  iq4_xs: "bf6101385552762538ac0b86733dea15",
};

/** 512 values' worth of bytes by a formula; none is high enough to begin an infinite float. */
function sampleBytes(dtype: StoredDType): Uint8Array {
  const bytes = new Uint8Array(storedBytes(dtype, 512));
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (i * i * 31 + i * 197 + (i >> 3) * 61 + 5) % 251;
    if ((bytes[i] & 0x7c) === 0x7c) bytes[i] &= 0xbf;
  }
  return bytes;
}

for (const dtype of STORED_DTYPES) {
  test(`decodeRows() gives the bits an independent decoder gives, for ${dtype}`, async () => {
    const out = new Float32Array(512);
    decodeRows(dtype, sampleBytes(dtype), out);
    const digest = await sha256Hex(bytesOfArray(out).slice());
    assert.equal(digest.slice(0, 32), DIGESTS[dtype]);
  });

  test(`decodeRows() reads and writes views that begin anywhere, for ${dtype}`, () => {
    const whole = new Float32Array(512);
    decodeRows(dtype, sampleBytes(dtype), whole);
    const { values, bytes } = storedBlock(dtype);
    const shifted = new Uint8Array(bytes + 3);
    shifted.set(sampleBytes(dtype).subarray(bytes, 2 * bytes), 3);
    const out = new Float32Array(values + 2).fill(7);
    decodeRows(dtype, shifted.subarray(3), out.subarray(1, 1 + values));
    const expected = values === 256 ? whole.slice(256, 512) : whole.slice(values, 2 * values);
    assert.deepEqual([...out], [7, ...expected, 7]);
  });
}

test("decodeRows() agrees with the golden blocks to 1e-6 relative", async (t) => {
  const text = await readFile(golden, "utf8").catch(() => null);
  if (text === null) return skip(t, "needs ../shared/data/golden/gguf-blocks.json: not here");
  const types = JSON.parse(text).types as Record<
    string,
    { blockSize: number; blockBytes: number; bytes: string; values: number[] }
  >;
  for (const [name, { blockSize, blockBytes, bytes, values }] of Object.entries(types)) {
    const dtype = name.toLowerCase() as StoredDType;
    assert.deepEqual([storedBlock(dtype).values, storedBlock(dtype).bytes], [blockSize, blockBytes], name);
    const out = new Float32Array(values.length);
    decodeRows(dtype, Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)), out);
    out.forEach((value, i) => {
      assert.ok(
        Math.abs(value - values[i]) <= 1e-6 * Math.abs(values[i]),
        `${name} ${i}: ${value}, not ${values[i]}`,
      );
    });
  }
});

test("storedBlock() agrees with the dtypes of the backend contract", () => {
  for (const dtype of STORED_DTYPES) {
    const isDType = (name: string): name is DType =>
      !["q5_0", "q5_1", "q2_k", "q3_k", "q5_k", "iq4_nl", "iq4_xs"].includes(name);
    if (!isDType(dtype)) continue;
    assert.equal(storedBytes(dtype, 512), bytesOf(dtype, 512), dtype);
    assert.equal(storedBlock(dtype).values > 1, isBlockDType(dtype), dtype);
  }
});

test("decodeRows() throws RangeError when bytes and values do not match", () => {
  assert.throws(() => decodeRows("q4_1", new Uint8Array(20), new Float32Array(31)), RangeError);
  assert.throws(() => decodeRows("q4_1", new Uint8Array(19), new Float32Array(32)), RangeError);
  assert.throws(() => decodeRows("f16", new Uint8Array(65), new Float32Array(32)), RangeError);
});
