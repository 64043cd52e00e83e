import assert from "node:assert/strict";
import { test } from "node:test";
import { openCpu } from "../../../backends/cpu/backend.ts";
import { DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32 } from "../../../backends/cpu/kernels/ops.ts";
import { linearWide } from "../../../backends/cpu/linear_wide.ts";
import { wideBytes } from "../../../backends/cpu/pack_wide.ts";
import { heldBytes, readTensor, writeTensor } from "../../../backends/cpu/transfer.ts";
import { bytesOf } from "../../../core/dtype.ts";
import { Random } from "../../../core/random.ts";
import { bytesOfArray, downloadFloats } from "../../../core/tensor_io.ts";
import { worstError } from "../../conformance/conformance.ts";
import { gaussians } from "../../conformance/scenario.ts";
import { type Weight, WEIGHTS } from "../../conformance/weights.ts";
import { type Parts, withParts } from "./parts.ts";

const KINDS = WEIGHTS.filter(({ dtype }) => dtype === "q4_k" || dtype === "q6_k");
type Kind = (typeof KINDS)[number];

const [N, I, R] = [77, 768, 70];
const DOTS = [DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32];

function dotsOf({ isRelaxed }: Parts): readonly number[] {
  return isRelaxed ? DOTS : [DOT_PLAIN];
}

/** linear() of all rows of x, as bits; the weights uploaded in pieces, `perPiece` rows each. */
function multiply(
  { memory, queue }: Parts,
  dot: number,
  { dtype }: Kind,
  weight: Weight,
  x: Float32Array,
  perPiece = N,
): Uint8Array<ArrayBuffer> {
  const rows = x.length / I;
  const alloc = (dtype: "f32" | Kind["dtype"], shape: readonly number[]) =>
    memory.alloc({ dtype, shape }, heldBytes({ dtype, shape }));
  const [input, bias, out] = [alloc("f32", [rows, I]), alloc("f32", [N]), alloc("f32", [rows, N])];
  const held = alloc(dtype, [N, I]);
  writeTensor(queue, input, bytesOfArray(x), 0);
  writeTensor(queue, bias, bytesOfArray(gaussians(new Random(3), N)), 0);
  const rowBytes = bytesOf(dtype, I);
  for (let row = 0; row < N; row += perPiece) {
    const piece = weight.bytes.subarray(row * rowBytes, Math.min(N, row + perPiece) * rowBytes);
    writeTensor(queue, held, piece, row * rowBytes);
  }
  linearWide(queue, { rows: dot, tiles: dot }, out, input, held, bias, 0);
  queue.flush();
  const bits = readTensor(out, 0, out.byteLength);
  for (const tensor of [input, held, bias, out]) queue.drop(tensor);
  return bits;
}

/** x as the kernels see it: 32 values share max|x| / 127. */
function rounded(x: Float32Array): Float64Array {
  const values = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += 32) {
    const most = x.subarray(at, at + 32).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scale = Math.fround(most / 127);
    const inverse = Math.fround(1 / scale);
    for (let i = at; i < at + 32; i++) values[i] = scale * Math.round(Math.fround(x[i] * inverse));
  }
  return values;
}

for (const kind of KINDS) {
  const weight = kind.make(new Random(8), N * I);
  const x = gaussians(new Random(9), R * I);

  test(`${kind.dtype}: the same bits from every kernel, on 1 thread and 3`, async () => {
    const found: { readonly of: string; readonly bits: Uint8Array }[] = [];
    for (const threads of [1, 3]) {
      for (const relaxed of [false, true]) {
        await withParts(threads, relaxed, (parts) => {
          for (const dot of dotsOf(parts)) {
            const of = `${threads} threads, relaxed ${parts.isRelaxed}, dot ${dot}`;
            found.push({ of, bits: multiply(parts, dot, kind, weight, x) });
          }
        });
      }
    }
    for (const { of, bits } of found) assert.deepEqual(bits, found[0].bits, of);
  });

  test(`${kind.dtype}: a row's bits do not depend on how many rows there are`, () =>
    withParts(2, true, (parts) => {
      for (const dot of dotsOf(parts)) {
        const all = multiply(parts, dot, kind, weight, x);
        for (const [from, to] of [[0, 1], [3, 6], [0, 4], [66, 70], [0, 64]]) {
          const some = multiply(parts, dot, kind, weight, x.subarray(from * I, to * I));
          assert.deepEqual(some, all.slice(from * N * 4, to * N * 4), `rows ${from} to ${to}, dot ${dot}`);
        }
      }
    }));

  test(`${kind.dtype}: nothing but the activations is rounded by more than f32 rounds`, () =>
    withParts(2, true, (parts) => {
      const found = new Float32Array(multiply(parts, dotsOf(parts).at(-1)!, kind, weight, x).buffer);
      const input = rounded(x);
      const bias = gaussians(new Random(3), N);
      const wanted = Float64Array.from(found, (_, at) => {
        const [r, n] = [Math.floor(at / N), at % N];
        let sum = bias[n];
        for (let i = 0; i < I; i++) sum += input[r * I + i] * weight.values[n * I + i];
        return sum;
      });
      const { error } = worstError(found, wanted);
      assert.ok(error < 1e-6, `${error}`);
    }));

  test(`${kind.dtype}: weights may come in pieces of any number of rows`, () =>
    withParts(2, true, (parts) => {
      const whole = multiply(parts, DOT_PLAIN, kind, weight, x);
      for (const perPiece of [1, 5, 8, 40]) {
        assert.deepEqual(multiply(parts, DOT_PLAIN, kind, weight, x, perPiece), whole);
      }
    }));

  test(`${kind.dtype}: the rows of an embedding are what the file holds, to the bit`, async () => {
    const backend = await openCpu({ threads: 2 });
    const table = backend.alloc({ dtype: kind.dtype, shape: [N, I] });
    const out = backend.alloc({ dtype: "f32", shape: [N, I] });
    backend.upload(table, weight.bytes);
    const tokens = Int32Array.from({ length: N }, (_, n) => N - 1 - n);
    backend.beginStep({ tokens, slots: tokens, positions: tokens, homes: tokens });
    backend.embed(out, table);
    const found = await downloadFloats(backend, out);
    tokens.forEach((token, t) => {
      assert.deepEqual(
        found.subarray(t * I, (t + 1) * I),
        weight.values.subarray(token * I, (token + 1) * I),
        `token ${token}`,
      );
    });
    await backend.close();
  });
}

test("wide tensors take 18.5 and 26.25 bytes per 32 values, each matrix filled up to 8 rows", () => {
  assert.equal(wideBytes("q4_k", [8, 512]), 8 * 16 * 18.5);
  assert.equal(wideBytes("q6_k", [9, 256]), 16 * 8 * 26.25);
  assert.equal(wideBytes("q4_k", [3, 9, 256]), 3 * 16 * 8 * 18.5);
});

/** The largest sums there can be: every code at its end, for which i16 sums must not overflow. */
test("wide codes at their ends are multiplied exactly", async () => {
  for (const kind of KINDS) {
    const isFour = kind.dtype === "q4_k";
    const weight = kind.make(new Random(8), N * I);
    const blockBytes = bytesOf(kind.dtype, 256);
    for (const [code, sign] of [[isFour ? 15 : 31, 1], [isFour ? 15 : 31, -1], [isFour ? 0 : -32, 1]]) {
      for (let at = 0; at < weight.bytes.length; at += blockBytes) {
        const block = weight.bytes.subarray(at, at + blockBytes);
        if (isFour) {
          // Scale 1, minimum scale 0; group scales 1 and minima 0.
          block.fill(0);
          block.set([0, 0x3c, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]);
          block.fill(code * 17, 16);
        } else {
          block.fill(code === 31 ? 255 : 0, 0, 192);
          block.fill(1, 192, 208);
          block.set([0, 0x3c], 208);
        }
      }
      const x = new Float32Array(5 * I).fill(127 * sign);
      for (const relaxed of [false, true]) {
        await withParts(1, relaxed, (parts) => {
          for (const dot of dotsOf(parts)) {
            for (const rows of [1, 5]) {
              const bits = multiply(parts, dot, kind, weight, x.subarray(0, rows * I));
              const bias = gaussians(new Random(3), N);
              const one = bias.map((value) => Math.fround(127 * sign * code * I + value));
              const wanted = Float32Array.from({ length: rows * N }, (_, at) => one[at % N]);
              assert.deepEqual(new Float32Array(bits.buffer), wanted, `${kind.dtype} ${code}, dot ${dot}`);
            }
          }
        });
      }
    }
  }
});
