import assert from "node:assert/strict";
import { test } from "node:test";
import { createHash } from "node:crypto";
import type { RopeScaling } from "../../core/config.ts";
import { inverseFrequencies, ropeTable } from "../../core/rope.ts";
import { bytesOfArray } from "../../core/tensor_io.ts";

const frequencies = (scaling: RopeScaling | null, base = 10000, d = 64) =>
  inverseFrequencies({ base, scaling }, d);

function near(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) =>
    assert.ok(
      Math.abs(actual[i] - value) <= tolerance * Math.abs(value),
      `${i}: ${actual[i]}, wanted ${value}`,
    )
  );
}

test("inverseFrequencies() falls from 1 by base^(-2c/d) when nothing is scaled", () => {
  near(frequencies(null, 10000, 8), [1, 0.1, 0.01, 0.001]);
  near(frequencies(null, 500000), Array.from({ length: 32 }, (_, c) => 500000 ** (-c / 32)));
});

test("inverseFrequencies() divides every frequency when scaling is linear, each by its own when it is by factors", () => {
  const plain = frequencies(null, 10000, 8);
  near(frequencies({ type: "linear", factor: 4 }, 10000, 8), [...plain].map((f) => f / 4));
  const factors = [1, 2, 8, 32];
  near(frequencies({ type: "factors", factors }, 10000, 8), [...plain].map((f, c) => f / factors[c]));
});

test("inverseFrequencies() keeps short waves, stretches long ones and blends between when scaling is llama3", () => {
  const factor = 8;
  const originalContext = 8192;
  const scaling: RopeScaling = {
    type: "llama3",
    factor,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext,
  };
  const plain = frequencies(null, 500000, 128);
  const scaled = frequencies(scaling, 500000, 128);
  const seen = new Set<string>();
  plain.forEach((frequency, c) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalContext / 4) {
      seen.add("kept");
      assert.equal(scaled[c], frequency);
    } else if (wavelength > originalContext) {
      seen.add("stretched");
      near([scaled[c]], [frequency / factor]);
    } else {
      seen.add("blended");
      const share = (originalContext / wavelength - 1) / 3;
      near([scaled[c]], [frequency * (share + (1 - share) / factor)]);
    }
  });
  assert.equal(seen.size, 3);
});

test("inverseFrequencies() interpolates only the slow pairs when scaling is yarn", () => {
  const yarn = (truncate: boolean): RopeScaling => ({
    type: "yarn",
    factor: 4,
    betaFast: 32,
    betaSlow: 1,
    originalContext: 4096,
    attentionFactor: 1.1386,
    truncate,
  });
  const d = 128;
  const plain = frequencies(null, 10000, d);
  const pair = (turns: number) => (d * Math.log(4096 / (turns * 2 * Math.PI))) / (2 * Math.log(10000));
  for (const truncate of [true, false]) {
    const [low, high] = truncate ? [Math.floor(pair(32)), Math.ceil(pair(1))] : [pair(32), pair(1)];
    const expected = [...plain].map((frequency, c) => {
      const share = Math.min(Math.max((c - low) / (high - low), 0), 1);
      return frequency * (1 - share + share / 4);
    });
    near(frequencies(yarn(truncate), 10000, d), expected);
    assert.equal(expected[0], plain[0]);
    assert.ok(Math.abs(expected[63] - plain[63] / 4) < 1e-12);
  }
});

test("ropeTable() holds cos, then sin, of position times frequency, times yarn's factor", () => {
  const table = ropeTable({ base: 10000, scaling: null }, 8, 50);
  assert.deepEqual([...table.subarray(0, 8)], [1, 1, 1, 1, 0, 0, 0, 0]);
  for (let position = 0; position < 50; position++) {
    for (let c = 0; c < 4; c++) {
      const angle = position * 10 ** -c;
      assert.ok(Math.abs(table[position * 8 + c] - Math.cos(angle)) < 1e-5);
      assert.ok(Math.abs(table[position * 8 + 4 + c] - Math.sin(angle)) < 1e-5);
    }
  }
  const yarn: RopeScaling = {
    type: "yarn",
    factor: 2,
    betaFast: 32,
    betaSlow: 1,
    originalContext: 32,
    attentionFactor: 1.5,
    truncate: true,
  };
  const scaled = ropeTable({ base: 10000, scaling: yarn }, 8, 3);
  for (let c = 0; c < 4; c++) near([Math.hypot(scaled[16 + c], scaled[20 + c])], [1.5]);
});

test("ropeTable() has the same bits when computed on any engine", () => {
  const table = ropeTable({ base: 100000, scaling: null }, 64, 300);
  const hash = createHash("sha256").update(bytesOfArray(table)).digest("hex");
  assert.equal(hash, TABLE_SHA256);
});

/** Recorded once; another engine must give it too. */
const TABLE_SHA256 = "154480a42e27015e3ff01e490965f7e7f554fdc5d705d3811bf6079ed39da9f2";
