import assert from "node:assert/strict";
import { test } from "node:test";
import { DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32 } from "../../../backends/cpu/kernels/ops.ts";
import { linearBlocks } from "../../../backends/cpu/linear_blocks.ts";
import { heldBytes, readTensor, writeTensor } from "../../../backends/cpu/transfer.ts";
import { Random } from "../../../core/random.ts";
import { worstError } from "../../conformance/conformance.ts";
import { gaussians } from "../../conformance/scenario.ts";
import { type Weight, WEIGHTS } from "../../conformance/weights.ts";
import { assertSameBits } from "../../support/same_bits.ts";
import { type Parts, withParts } from "./parts.ts";

const KINDS = WEIGHTS.filter(({ dtype }) => dtype === "q4_0" || dtype === "q4_1" || dtype === "q8_0");
const [N, I, R] = [77, 160, 70];

/** linear() of rows from..to of x, as bits; the weights uploaded in pieces, `perPiece` rows each. */
function multiply(
  { memory, queue }: Parts,
  dot: number,
  kind: (typeof KINDS)[number],
  weight: Weight,
  x: Float32Array,
  perPiece = N,
): Uint8Array {
  const rows = x.length / I;
  const alloc = (dtype: "f32" | typeof kind.dtype, shape: readonly number[]) =>
    memory.alloc({ dtype, shape }, heldBytes({ dtype, shape }));
  const [input, held, bias, out] = [
    alloc("f32", [rows, I]),
    alloc(kind.dtype, [N, I]),
    alloc("f32", [N]),
    alloc("f32", [rows, N]),
  ];
  writeTensor(queue, input, new Uint8Array(x.buffer, x.byteOffset, x.byteLength), 0);
  writeTensor(queue, bias, new Uint8Array(gaussians(new Random(3), N).buffer), 0);
  const rowBytes = weight.bytes.length / N;
  for (let row = 0; row < N; row += perPiece) {
    const piece = weight.bytes.subarray(row * rowBytes, Math.min(N, row + perPiece) * rowBytes);
    writeTensor(queue, held, piece, row * rowBytes);
  }
  linearBlocks(queue, { vector: dot, matrix: dot }, out, input, held, bias, 0);
  queue.flush();
  const bits = readTensor(out, 0, out.byteLength);
  for (const tensor of [input, held, bias, out]) queue.drop(tensor);
  return bits;
}

for (const kind of KINDS) {
  const weight = kind.make(new Random(8), N * I);
  // An outlier in most rows, so that its block has a residual.
  const x = gaussians(new Random(9), R * I).map((value, i) => (i % I === 40 ? 30 * value : value));

  test(`${kind.dtype}: the same bits from kernels of the same rounding, on 1 thread and 3`, async () => {
    const found: { readonly of: string; readonly bits: Uint8Array; readonly isPlain: boolean }[] = [];
    for (const threads of [1, 3]) {
      for (const relaxed of [false, true]) {
        await withParts(threads, relaxed, (parts) => {
          const dots = parts.isRelaxed ? [DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32] : [DOT_PLAIN];
          for (const dot of dots) {
            const of = `${threads} threads, relaxed ${parts.isRelaxed}, dot ${dot}`;
            found.push({ of, bits: multiply(parts, dot, kind, weight, x), isPlain: dot === DOT_PLAIN });
          }
        });
      }
    }
    const plain = new Float32Array(found[0].bits.slice().buffer);
    const relaxed = found.find(({ isPlain }) => !isPlain) ?? found[0];
    for (const { of, bits, isPlain } of found) {
      const wanted = isPlain ? found[0] : relaxed;
      assertSameBits(new Float32Array(bits.slice().buffer), new Float32Array(wanted.bits.slice().buffer), of);
    }
    // Without residuals it is 1.1e-2 to 1.6e-2.
    const error = worstError(new Float32Array(relaxed.bits.slice().buffer), plain).error;
    assert.ok(error < 3e-3, `${error}`);
  });

  test(`${kind.dtype}: a row's bits do not depend on how many rows there are`, () =>
    withParts(2, true, (parts) => {
      const dots = parts.isRelaxed ? [DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32] : [DOT_PLAIN];
      for (const dot of dots) {
        const all = multiply(parts, dot, kind, weight, x);
        for (const [from, to] of [[0, 1], [3, 5], [0, 4], [66, 70], [0, 64]]) {
          const some = multiply(parts, dot, kind, weight, x.subarray(from * I, to * I));
          assert.deepEqual(some, all.slice(from * N * 4, to * N * 4), `rows ${from} to ${to}, dot ${dot}`);
        }
      }
    }));

  test(`${kind.dtype}: weights may come in pieces of any number of rows`, () =>
    withParts(2, true, (parts) => {
      const whole = multiply(parts, DOT_PLAIN, kind, weight, x);
      for (const perPiece of [1, 5, 8, 40]) {
        assert.deepEqual(multiply(parts, DOT_PLAIN, kind, weight, x, perPiece), whole);
      }
    }));
}

/** The largest sums there can be: every code at its end, for which i16 sums must not overflow. */
test("codes at their ends are multiplied exactly", async () => {
  const x = new Float32Array(I).fill(-127);
  for (const kind of KINDS) {
    const weight = kind.make(new Random(8), N * I);
    const blockBytes = (weight.bytes.length / (N * I)) * 32;
    const header = kind.dtype === "q4_1" ? 4 : 2;
    const code = kind.dtype === "q8_0" ? -128 : kind.dtype === "q4_0" ? 7 : 15;
    for (let at = 0; at < weight.bytes.length; at += blockBytes) {
      weight.bytes.fill(0, at, at + header);
      weight.bytes[at + 1] = 0x3c;
      weight.bytes.fill(code & 255 | (kind.dtype === "q8_0" ? 0 : 255), at + header, at + blockBytes);
    }
    for (const relaxed of [false, true]) {
      await withParts(1, relaxed, (parts) => {
        for (const dot of parts.isRelaxed ? [DOT_RELAXED_16, DOT_RELAXED_32] : [DOT_PLAIN]) {
          const out = new Float32Array(multiply(parts, dot, kind, weight, x).buffer);
          const bias = gaussians(new Random(3), N);
          const wanted = bias.map((value) => Math.fround(-127 * code * I + value));
          assert.deepEqual(out, wanted, `${kind.dtype}, dot ${dot}`);
        }
      });
    }
  }
});
