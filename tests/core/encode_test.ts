import assert from "node:assert/strict";
import { test } from "node:test";
import { fromF16 } from "../../core/half.ts";
import { decodeRows } from "../../core/quantisation.ts";
import { encodeQ8_0 } from "../../core/quantisation/encode.ts";
import { Random } from "../../core/random.ts";
import { gaussians } from "../conformance/scenario.ts";
import { OTHER_DTYPES, type OtherDType, storeBlocks } from "../support/stored_blocks.ts";

function decoded(dtype: OtherDType | "q8_0", bytes: Uint8Array, count: number): Float32Array {
  const values = new Float32Array(count);
  decodeRows(dtype, bytes, values);
  return values;
}

/** √(Σ (a - b)² / Σ b²). */
function relativeError(a: Float32Array, b: Float32Array): number {
  let errors = 0;
  let squares = 0;
  b.forEach((value, i) => {
    errors += (a[i] - value) ** 2;
    squares += value ** 2;
  });
  return Math.sqrt(errors / squares);
}

test("encodeQ8_0() is off by half a step at most, and each block's largest value is code 127", () => {
  const random = new Random(1);
  const values = gaussians(random, 64 * 32).map((value, i) => value * 2 ** ((i >> 5) % 16 - 7));
  const bytes = encodeQ8_0(values);
  assert.equal(bytes.length, 64 * 34);
  const back = decoded("q8_0", bytes, values.length);
  for (let block = 0; block < 64; block++) {
    const scale = fromF16(bytes[34 * block] | (bytes[34 * block + 1] << 8));
    const codes = new Int8Array(bytes.buffer, 34 * block + 2, 32);
    const ofBlock = values.subarray(32 * block, 32 * block + 32);
    const largest = ofBlock.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(Math.abs(scale * 127 - largest) <= largest * 2 ** -11, `block ${block}: scale ${scale}`);
    assert.equal(codes.reduce((most, code) => Math.max(most, Math.abs(code)), 0), 127);
    ofBlock.forEach((value, j) => {
      assert.ok(Math.abs(back[32 * block + j] - value) <= scale * 0.5625, `block ${block}, value ${j}`);
    });
  }
});

test("encodeQ8_0() gives back what q8_0 holds, and rounds ties to even", () => {
  const exact = Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? 127 : 8 * i - 128) / 4);
  assert.deepEqual(decoded("q8_0", encodeQ8_0(exact), 32), exact);
  const ties = Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? 127 : i - 15.5));
  const codes = new Int8Array(encodeQ8_0(ties).buffer, 2);
  assert.deepEqual([...codes.subarray(1, 5)], [-14, -14, -12, -12]);
  assert.deepEqual([...codes.subarray(15, 18)], [-0, 0, 2].map((code) => code + 0));
});

test("encodeQ8_0() survives zeros, the smallest and the largest values", () => {
  assert.deepEqual(encodeQ8_0(new Float32Array(32)), new Uint8Array(34));
  assert.deepEqual(encodeQ8_0(new Float32Array(32).fill(1e-9)), new Uint8Array(34));
  const small = decoded("q8_0", encodeQ8_0(new Float32Array(32).fill(1e-5)), 32);
  assert.ok(small.every((value) => Math.abs(value - 1e-5) < 4e-6));
  const large = decoded("q8_0", encodeQ8_0(new Float32Array(32).fill(-3e38)), 32);
  assert.ok(large.every((value) => value === -127 * 65504));
  assert.throws(() => encodeQ8_0(new Float32Array(33)), RangeError);
});

/**
 * What holding a type as q8_0 adds to the error it came with: rounding to steps of max|w| / 127, some 0.5% of the deviation of
 * normal values. The levels of iq4 reach from -127 to 113: a block whose largest is the first of them stays as it is.
 */
const ADDED: Readonly<Record<OtherDType, number>> = {
  q5_0: 0.0056,
  q5_1: 0.0056,
  q2_k: 0.0056,
  q3_k: 0.0056,
  q5_k: 0.0056,
  iq4_nl: 0.0032,
  iq4_xs: 0.0032,
};

for (const dtype of OTHER_DTYPES) {
  test(`${dtype} held as q8_0 loses little beside what it lost`, () => {
    const weights = gaussians(new Random(2), 256 * 256).map((value) => value * 0.02);
    const stored = decoded(dtype, storeBlocks(dtype, weights), weights.length);
    const own = relativeError(stored, weights);
    assert.ok(own > 0.01 && own < 0.4, `${dtype} is ${own} off itself`);
    const held = decoded("q8_0", encodeQ8_0(stored), weights.length);
    const added = relativeError(held, stored);
    assert.ok(added < ADDED[dtype], `${dtype}: ${added}`);
    assert.ok(relativeError(held, weights) < own * 1.02);
  });
}
