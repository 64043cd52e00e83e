import assert from "node:assert/strict";
import { test } from "node:test";
import { linearFloats } from "../../../backends/cpu/linear_floats.ts";
import { heldBytes, readTensor, writeTensor } from "../../../backends/cpu/transfer.ts";
import { fromF16 } from "../../../core/half.ts";
import { Random } from "../../../core/random.ts";
import { bytesOfArray } from "../../../core/tensor_io.ts";
import { worstError } from "../../conformance/conformance.ts";
import { gaussians } from "../../conformance/scenario.ts";
import { type Weight, WEIGHTS } from "../../conformance/weights.ts";
import { type Parts, withParts } from "./parts.ts";

const KINDS = WEIGHTS.filter(({ dtype }) => dtype === "f32" || dtype === "f16" || dtype === "bf16");
type Kind = (typeof KINDS)[number];

/** linear() of all rows of x, as bits. */
function multiply({ memory, queue }: Parts, { dtype }: Kind, weight: Weight, x: Float32Array, I: number) {
  const rows = x.length / I;
  const N = weight.values.length / I;
  const alloc = (dtype: Kind["dtype"], shape: readonly number[]) =>
    memory.alloc({ dtype, shape }, heldBytes({ dtype, shape }));
  const [input, held, out] = [alloc("f32", [rows, I]), alloc(dtype, [N, I]), alloc("f32", [rows, N])];
  writeTensor(queue, input, bytesOfArray(x), 0);
  writeTensor(queue, held, weight.bytes, 0);
  linearFloats(queue, out, input, held, null, 0);
  queue.flush();
  const bits = readTensor(out, 0, out.byteLength);
  for (const tensor of [input, held, out]) queue.drop(tensor);
  return bits;
}

for (const kind of KINDS) {
  test(`${kind.dtype}: a row's bits depend neither on the rows beside it nor on the threads`, async () => {
    for (const [N, I] of [[1, 1], [5, 7], [9, 63], [21, 65], [6, 1030], [35, 2052]]) {
      const R = 13;
      const weight = kind.make(new Random(I), N * I);
      const x = gaussians(new Random(9), R * I);
      const found: Uint8Array[] = [];
      for (const threads of [1, 3]) {
        await withParts(threads, false, (parts) => {
          const all = multiply(parts, kind, weight, x, I);
          found.push(all);
          for (const [from, to] of [[0, 1], [3, 6], [0, 4], [8, 13]]) {
            const some = multiply(parts, kind, weight, x.subarray(from * I, to * I), I);
            assert.deepEqual(some, all.slice(from * N * 4, to * N * 4), `[${N}, ${I}], ${from} to ${to}`);
          }
        });
      }
      assert.deepEqual(found[1], found[0], `[${N}, ${I}]`);
    }
  });
}

test("f16: the largest, the smallest and subnormal weights meet activations of any size", () =>
  withParts(2, false, (parts) => {
    const kind = KINDS.find(({ dtype }) => dtype === "f16")!;
    const random = new Random(5);
    const [N, I] = [9, 67];
    for (const [of, exponents] of [["large", 30], ["small", 1], ["all", 31]] as const) {
      const halves = Uint16Array.from({ length: N * I }, () => {
        const exponent = of === "large" ? 30 : random.nextUint32() % exponents;
        return (random.nextUint32() & 0x83ff) | (exponent << 10);
      });
      const weight = { bytes: new Uint8Array(halves.buffer), values: Float32Array.from(halves, fromF16) };
      for (const size of [1e-9, 1, 1e9]) {
        const x = gaussians(random, 5 * I).map((value) => value * size);
        const found = new Float32Array(multiply(parts, kind, weight, x, I).buffer);
        const wanted = Float64Array.from(found, (_, at) => {
          let sum = 0;
          for (let i = 0; i < I; i++) {
            sum += x[Math.floor(at / N) * I + i] * weight.values[(at % N) * I + i];
          }
          return sum;
        });
        const { error } = worstError(found, wanted);
        assert.ok(error < 1e-6, `${of} weights, activations about ${size}: ${error}`);
      }
    }
  }));
