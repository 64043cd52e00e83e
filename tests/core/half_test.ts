import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromBf16, fromF16, toBf16, toF16 } from "../../core/half.ts";

test("toF16() returns the bits fromF16() read, for every half that is a number", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = fromF16(bits);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(fromF16(toF16(value))));
    else assert.equal(toF16(value), bits);
  }
});

test("toBf16() returns the bits fromBf16() read, for every number", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = fromBf16(bits);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(fromBf16(toBf16(value))));
    else assert.equal(toBf16(value), bits);
  }
});

test("fromF16() reads the landmarks of the format", () => {
  assert.equal(fromF16(0x3c00), 1);
  assert.equal(fromF16(0xc000), -2);
  assert.equal(fromF16(0x7bff), 65504);
  assert.equal(fromF16(0x0001), 2 ** -24);
  assert.equal(fromF16(0x03ff), 1023 * 2 ** -24);
  assert.equal(fromF16(0x7c00), Infinity);
  assert.ok(Object.is(fromF16(0x8000), -0));
});

test("toF16() overflows to infinity from halfway above the largest half, and keeps NaN", () => {
  assert.equal(toF16(65519.99), 0x7bff);
  assert.equal(toF16(65520), 0x7c00);
  assert.equal(toF16(-1e30), 0xfc00);
  assert.ok(Number.isNaN(fromF16(toF16(NaN))));
  assert.equal(toF16(2 ** -25), 0, "a tie goes to the even neighbour, zero");
  assert.equal(toF16(2 ** -25 * 1.001), 1);
});

const finite = fc.float({ noNaN: true, noDefaultInfinity: true });

for (
  const [name, to, from, largest] of [
    ["toF16", toF16, fromF16, 0x7bff],
    ["toBf16", toBf16, fromBf16, 0x7f7f],
  ] as const
) {
  test(`${name}() rounds to the nearest, ties to even`, () => {
    fc.assert(
      fc.property(finite, (value) => {
        fc.pre(Math.abs(value) <= from(largest));
        const bits = to(value);
        const error = Math.abs(from(bits) - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          if ((neighbour & 0x7fff) > largest || (neighbour & 0x8000) !== (bits & 0x8000)) continue;
          const other = Math.abs(from(neighbour) - value);
          assert.ok(error < other || (error === other && (bits & 1) === 0), `${value} became ${from(bits)}`);
        }
      }),
      { numRuns: 2000 },
    );
  });
}
