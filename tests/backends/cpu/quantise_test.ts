import assert from "node:assert/strict";
import { test } from "node:test";
import { quantisedBytes, quantiseRows } from "../../../backends/cpu/quantised.ts";
import { Random } from "../../../core/random.ts";
import { gaussians } from "../../conformance/scenario.ts";
import { type Parts, withParts } from "./parts.ts";

/** Block after block of a row: scale, scaledSum, both sums, centre, 32 codes, and those again from `codes16`. */
function quantised({ arena, memory, queue }: Parts, x: Float32Array, R: number, I: number, byBlock: boolean) {
  const tensor = memory.alloc({ dtype: "f32", shape: [R, I] }, 4 * R * I);
  const from = queue.read(tensor, arena);
  arena.floats.set(x, from >>> 2);
  const at = queue.scratch(arena, quantisedBytes(R, I));
  const found = quantiseRows(queue, arena, from, R, I, at, { byBlock, wide: true });
  queue.flush();
  const values: number[] = [];
  for (let r = 0; r < R; r++) {
    for (let b = 0; b < Math.ceil(I / 32); b++) {
      const i = r * found.rowPitch + b * found.blockPitch;
      values.push(arena.floats[(found.scale >>> 2) + i], arena.floats[(found.scaledSum >>> 2) + i]);
      values.push(...arena.ints.subarray((found.sums16 >>> 2) + 2 * i, (found.sums16 >>> 2) + 2 * i + 2));
      values.push(arena.ints[(found.centre >>> 2) + i]);
      values.push(...new Int8Array(arena.memory.buffer, found.codes + 32 * i, 32));
      const wide = new Int16Array(arena.memory.buffer, found.codes16 + 64 * i, 32);
      for (let c = 0; c < 32; c++) values.push(wide[(c & ~3) + [0, 2, 1, 3][c & 3]]);
    }
  }
  return values;
}

/** The same in plain JavaScript, rounded to f32 where the kernel rounds. */
function wanted(x: Float32Array, R: number, I: number): number[] {
  const values: number[] = [];
  for (let r = 0; r < R; r++) {
    for (let b = 0; b < I; b += 32) {
      const block = Float32Array.from({ length: 32 }, (_, c) => (b + c < I ? x[r * I + b + c] : 0));
      const most = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const scale = most < 1e-30 ? 0 : Math.fround(most / 127);
      const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
      const codes = [...block].map((value) => roundHalfEven(Math.fround(value * inverse)) + 0);
      const sum = (from: number, to: number) =>
        codes.slice(from, to).reduce((total, code) => total + code, 0);
      const total = sum(0, 32);
      values.push(
        scale,
        Math.fround(scale * total),
        sum(0, 16),
        sum(16, 32),
        0 - 8 * total,
        ...codes,
        ...codes,
      );
    }
  }
  return values;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

for (const relaxed of [false, true]) {
  for (const threads of [1, 2]) {
    test(`rows are quantised as in plain JavaScript, ${threads} threads, relaxed ${relaxed}`, () =>
      withParts(threads, relaxed, (parts) => {
        for (const [R, I] of [[1, 32], [1, 4192], [5, 96], [3, 50], [2, 1]]) {
          const x = gaussians(new Random(R * I), R * I);
          x.fill(0, 0, Math.min(32, I - 1));
          for (const byBlock of [false, true]) {
            assert.deepEqual(quantised(parts, x, R, I, byBlock), wanted(x, R, I));
          }
        }
        const halves = Float32Array.from({ length: 32 }, (_, c) => (c === 0 ? 127 : c - 15.5));
        assert.deepEqual(quantised(parts, halves, 1, 32, false), wanted(halves, 1, 32));
        const tiny = new Float32Array(32).fill(1e-38);
        assert.deepEqual(quantised(parts, tiny, 1, 32, false), wanted(tiny, 1, 32));
      }));
  }
}
