import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { importance, IMPORTANCE_TABLE, importanceScale, quantiseQuery } from "../../core/importance.ts";

test("IMPORTANCE_TABLE is 2^(24 - f/256), rounded", () => {
  assert.equal(IMPORTANCE_TABLE.length, 256);
  IMPORTANCE_TABLE.forEach((value, f) => assert.equal(value, Math.round(2 ** (24 - f / 256))));
});

test("importanceScale() gives 14 bits for any head width and exponent", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: -150, max: 150 }), (d, e) => {
    const { multiplier, shift } = importanceScale(d, e);
    assert.ok(Number.isInteger(multiplier) && multiplier >= 2 ** 13 && multiplier < 2 ** 14);
    const exact = (Math.LOG2E / Math.sqrt(d)) * 2 ** (shift + 8 - e);
    assert.ok(Math.abs(multiplier - exact) <= 0.5);
  }));
});

test("importance() is the big-integer rule", () => {
  const cases = fc.record({
    z: fc.nat(2 ** 20),
    d: fc.integer({ min: 1, max: 512 }),
    e: fc.integer({ min: -60, max: 60 }),
  });
  fc.assert(
    fc.property(cases, ({ z, d, e }) => {
      const scale = importanceScale(d, e);
      const product = BigInt(z) * BigInt(scale.multiplier);
      const shift = BigInt(scale.shift);
      const y = scale.shift >= 32 ? 0n : shift >= 0n ? product >> shift : product << -shift;
      const wanted = y >= 6400n ? 0n : BigInt(IMPORTANCE_TABLE[Number(y % 256n)]) >> (y / 256n);
      assert.equal(importance(z, scale), Number(wanted));
    }),
    { numRuns: 5000 },
  );
});

test("importance() falls with z, from 2^24, and follows the exponential", () => {
  const scale = importanceScale(64, 5);
  assert.equal(importance(0, scale), 2 ** 24);
  for (let z = 1; z < 6000; z++) {
    assert.ok(importance(z, scale) <= importance(z - 1, scale));
    const exact = Math.exp(-z / 32 / 8) * 2 ** 24;
    assert.ok(Math.abs(importance(z, scale) - exact) <= 0.003 * exact + 1, `z = ${z}`);
  }
});

test("importance() ends where 2^24 has been shifted out", () => {
  const scale = { multiplier: 2 ** 13, shift: 13, perScore: 1 };
  const wanted = new Map([[6143, 1], [6144, 1], [6145, 0], [6399, 0], [6400, 0], [1e6, 0]]);
  for (const [z, term] of wanted) assert.equal(importance(z, scale), term, `z = ${z}`);
});

const channels = Int32Array.from([3, 0, 2, 1]);
const step = Float32Array.of(1, 0.5, 2, 1);

function quantise(query: readonly number[]): { exponent: number; codes: number[] } {
  const codes = new Int32Array(4);
  const exponent = quantiseQuery(codes, Float32Array.from([9, ...query]), 1, channels, step, 0);
  return { exponent, codes: [...codes] };
}

test("quantiseQuery() brings the largest weight to 64 .. 127", () => {
  assert.deepEqual(quantise([1, 2, 3, 4]), { exponent: 4, codes: [64, 8, 96, 32] });
  assert.deepEqual(quantise([0, 0, 0, 64]), { exponent: 0, codes: [64, 0, 0, 0] });
  assert.deepEqual(quantise([0, 0, 0, 63.99]), { exponent: 1, codes: [127, 0, 0, 0] });
  assert.deepEqual(quantise([0, 0, 0, -1000]), { exponent: -3, codes: [-125, 0, 0, 0] });
  assert.deepEqual(quantise([0, 0, 0, 127.75]), { exponent: 0, codes: [127, 0, 0, 0] });
});

test("quantiseQuery() rounds halves to even", () => {
  assert.deepEqual(quantise([5, 2.5, 0.25, 64]).codes, [64, 2, 0, 2]);
  assert.deepEqual(quantise([7, 3.5, 0.75, -64]).codes, [-64, 4, 2, 4]);
});

test("quantiseQuery() gives e = 0 and no codes to a zero query", () => {
  assert.deepEqual(quantise([0, -0, 0, 0]), { exponent: 0, codes: [0, 0, 0, 0] });
});

test("quantiseQuery() keeps 64 ≤ max|w|·2^e < 128 for every f32, subnormal ones too", () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (x) => {
    fc.pre(x !== 0);
    const { exponent, codes } = quantise([0, 0, 0, x]);
    const scaled = Math.abs(x) * 2 ** (exponent / 2) * 2 ** (exponent - exponent / 2);
    assert.ok(scaled >= 64 * (1 - 1e-12) && scaled < 128 * (1 + 1e-12), `${x}: ${scaled}`);
    assert.ok(Math.abs(codes[0]) >= 64 && Math.abs(codes[0]) <= 127);
  }));
});
