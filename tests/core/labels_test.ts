import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  channelSparsity,
  defaultLabelLayout,
  labelBytes,
  labelChannels,
  labelWords,
  largestCode,
  parseLabelLayout,
  printLabelLayout,
  quantiser,
} from "../../core/labels.ts";

test("defaultLabelLayout() is d/8 and d/4 in whole words, within d", () => {
  const wanted = new Map([
    [8, [8, 0]],
    [16, [8, 0]],
    [24, [8, 16]],
    [48, [8, 16]],
    [64, [8, 16]],
    [80, [16, 32]],
    [96, [16, 32]],
    [128, [16, 32]],
    [256, [32, 64]],
  ]);
  for (const [d, [wide, narrow]] of wanted) {
    assert.deepEqual(defaultLabelLayout(d), { wide, narrow }, `d = ${d}`);
  }
  assert.throws(() => defaultLabelLayout(4), RangeError);
});

test("defaultLabelLayout() costs a sixteenth of f16 keys at 64, 128 and 256", () => {
  for (const d of [64, 128, 256]) assert.equal(channelSparsity(defaultLabelLayout(d), d), 1 / 16);
});

test("parseLabelLayout() reads what printLabelLayout() writes", () => {
  fc.assert(fc.property(fc.nat(40), fc.nat(40), (words, narrowWords) => {
    fc.pre(words + narrowWords > 0);
    const layout = { wide: 8 * words, narrow: 16 * narrowWords };
    assert.deepEqual(parseLabelLayout(printLabelLayout(layout)), layout);
    assert.equal(labelWords(layout), words + narrowWords);
    assert.equal(labelBytes(layout), 4 * (words + narrowWords));
    assert.equal(labelChannels(layout), 8 * words + 16 * narrowWords);
  }));
  assert.deepEqual(parseLabelLayout(" 16x2 + 8x4 "), { wide: 8, narrow: 16 });
  assert.equal(printLabelLayout({ wide: 0, narrow: 32 }), "32x2");
});

test("parseLabelLayout() names what it cannot read", () => {
  for (
    const text of [
      "",
      "8",
      "8x3",
      "8x4+",
      "4x4",
      "8x2",
      "8x4+8x4",
      "-8x4",
      "8.5x4",
      "0x4",
      "8x4,16x2",
      "9999999x4",
    ]
  ) {
    assert.throws(() => parseLabelLayout(text), (error: unknown) => {
      assert.ok(error instanceof RangeError && error.message.includes(`"${text}"`), `${error}`);
      return true;
    }, text);
  }
});

test("quantiser() centres the codes on the mean, each operation in f32", () => {
  const layout = { wide: 8, narrow: 16 };
  const mean = Float32Array.from({ length: 24 }, (_, c) => c / 7 - 1);
  const deviation = Float32Array.from({ length: 24 }, (_, c) => 0.3 + c / 11);
  const { zero, step, inverseStep } = quantiser(layout, mean, deviation);
  for (let c = 0; c < 24; c++) {
    const factor = c < 8 ? 0.3352 : 0.9957;
    assert.equal(step[c], Math.fround(deviation[c] * Math.fround(factor)));
    const middle = Math.fround(step[c] * (largestCode(layout, c) / 2));
    assert.equal(zero[c], Math.fround(mean[c] - middle));
    assert.equal(inverseStep[c], Math.fround(1 / step[c]));
  }
});

test("quantiser() gives code 0 to a channel that never varies", () => {
  const layout = { wide: 8, narrow: 0 };
  const { step, inverseStep, zero } = quantiser(layout, new Float32Array(8).fill(3), new Float32Array(8));
  assert.deepEqual([...step], new Array(8).fill(0));
  assert.deepEqual([...inverseStep], new Array(8).fill(0));
  assert.deepEqual([...zero], new Array(8).fill(3));
});
