import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { cos, exp, log, pow, roundHalfEven, sin } from "../../core/math.ts";

function near(found: number, wanted: number, relative: number, what: string): void {
  assert.ok(
    Math.abs(found - wanted) <= relative * Math.abs(wanted),
    `${what}: found ${found}, wanted ${wanted}`,
  );
}

const finite = (min: number, max: number) => fc.double({ min, max, noNaN: true });

// Math's own functions are good to about one unit in the last place, 2.2e-16, so the bounds leave room for both.
test("exp() is within 1e-15 of e^x", () => {
  for (const max of [1e-3, 1, 40, 700]) {
    fc.assert(fc.property(finite(-max, max), (x) => near(exp(x), Math.exp(x), 1e-15, `exp(${x})`)), {
      numRuns: 3000,
    });
  }
});

test("exp() ends where f64 does", () => {
  assert.equal(exp(0), 1);
  assert.equal(exp(-Infinity), 0);
  assert.equal(exp(-800), 0);
  assert.equal(exp(Infinity), Infinity);
  assert.equal(exp(710), Infinity);
  assert.ok(Number.isNaN(exp(NaN)));
  near(exp(709.5), Math.exp(709.5), 1e-14, "exp(709.5)");
  near(exp(-720), Math.exp(-720), 1e-9, "exp(-720)");
});

test("log() is within 1e-15 of ln x", () => {
  for (const max of [1.5, 1e3, 1e300]) {
    fc.assert(fc.property(finite(1e-300, max), (x) => near(log(x), Math.log(x), 1e-15, `log(${x})`)), {
      numRuns: 3000,
    });
  }
  near(log(5e-324), Math.log(5e-324), 1e-15, "log(5e-324)");
  near(log(1 + 2 ** -40), 2 ** -40, 1e-12, "log(1 + 2^-40)");
  assert.equal(log(1), 0);
  assert.equal(log(0), -Infinity);
  assert.equal(log(Infinity), Infinity);
  assert.ok(Number.isNaN(log(-1)));
  assert.ok(Number.isNaN(log(NaN)));
});

test("pow() is within 1e-14 where rotary bases need it", () => {
  fc.assert(
    fc.property(
      finite(1, 1e7),
      finite(-2, 2),
      (x, y) => near(pow(x, y), Math.pow(x, y), 1e-14, `pow(${x}, ${y})`),
    ),
    { numRuns: 3000 },
  );
  assert.equal(pow(7, 0), 1);
  assert.equal(pow(7, 1), 7);
  assert.equal(pow(0, 2), 0);
});

test("sin() and cos() are within 1e-15 up to 1e6", () => {
  for (const max of [1, 10, 1e4, 1e6]) {
    fc.assert(
      fc.property(finite(-max, max), (x) => {
        assert.ok(Math.abs(sin(x) - Math.sin(x)) <= 1e-15, `sin(${x})`);
        assert.ok(Math.abs(cos(x) - Math.cos(x)) <= 1e-15, `cos(${x})`);
      }),
      { numRuns: 3000 },
    );
  }
  assert.equal(sin(0), 0);
  assert.equal(cos(0), 1);
});

test("the bits are the same on every engine", () => {
  const bits = (value: number) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    return view.getBigUint64(0).toString(16);
  };
  let fingerprint = 0n;
  for (let i = 1; i < 2000; i++) {
    const x = (i * 0.6180339887498949) % 1;
    const values = [exp(x * 60 - 40), log(x * 1000), pow(1e5, -x), sin(x * 1e6), cos(x * 1e4)];
    for (const value of values) {
      fingerprint = BigInt.asUintN(64, fingerprint * 1099511628211n ^ BigInt(`0x${bits(value)}`));
    }
  }
  assert.equal(fingerprint.toString(16), "f2e8c74508797cc");
});

test("roundHalfEven() takes halves to the even neighbour", () => {
  const wanted = new Map([[0.5, 0], [1.5, 2], [2.5, 2], [-0.5, 0], [-1.5, -2], [-2.5, -2], [
    0.49999999999999994,
    0,
  ], [7.2, 7]]);
  for (const [x, rounded] of wanted) assert.equal(roundHalfEven(x) + 0, rounded, `${x}`);
  fc.assert(fc.property(finite(-1e15, 1e15), (x) => {
    const rounded = roundHalfEven(x);
    assert.ok(Number.isInteger(rounded) && Math.abs(rounded - x) <= 0.5);
    if (Math.abs(rounded - x) === 0.5) assert.equal(Math.abs(rounded % 2), 0);
  }));
});
