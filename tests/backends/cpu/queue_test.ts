import assert from "node:assert/strict";
import { test } from "node:test";
import { openCpu } from "../../../backends/cpu/backend.ts";
import { cpu } from "../../../backends/cpu/tensor.ts";
import type { Backend, Tensor } from "../../../core/backend.ts";
import { DsError } from "../../../core/errors.ts";
import { bytesOfArray, downloadFloats } from "../../../core/tensor_io.ts";
import { below, seededRandom } from "../../support/seeded_random.ts";

const MEBI = 2 ** 20;
/** Two tensors of so many values never fit one memory of 4 MiB; one and copies of two do. */
const COUNT = 270_000;

interface Pair {
  readonly tensor: Tensor;
  readonly values: Float32Array;
}

function pair(backend: Backend, fill: number): Pair {
  const tensor = backend.alloc({ dtype: "f32", shape: [1, COUNT] });
  const values = new Float32Array(COUNT).fill(fill);
  backend.upload(tensor, bytesOfArray(values));
  return { tensor, values };
}

test("ops give what their order says when tensors lie in several memories, and come and go meanwhile", async () => {
  const backend = await openCpu({ threads: 2, arenaBytes: 4 * MEBI, memoryBytes: 32 * MEBI });
  const random = seededRandom(11);
  const pairs = Array.from({ length: 3 }, (_, i) => pair(backend, i + 1));
  assert.ok(new Set(pairs.map(({ tensor }) => cpu(tensor).arena.index)).size === 3);
  const rows = backend.alloc({ dtype: "i32", shape: [1] });
  for (let step = 0; step < 200; step++) {
    const at = below(random, 3);
    const x = pairs[at];
    const y = pairs[(at + 1 + below(random, 2)) % 3];
    const kind = below(random, 8);
    if (kind < 4) {
      backend.add(x.tensor, y.tensor);
      for (let i = 0; i < COUNT; i++) x.values[i] += y.values[i];
    } else if (kind < 6) {
      backend.gatherRows(x.tensor, y.tensor, rows);
      x.values.set(y.values);
    } else if (kind === 6) {
      const value = below(random, 100);
      x.values.fill(value, 0, COUNT);
      backend.upload(x.tensor, bytesOfArray(x.values));
    } else {
      backend.free(x.tensor);
      pairs[at] = pair(backend, below(random, 100));
    }
    if (step % 10 === 0) { for (const { values } of pairs) values.forEach((v, i) => values[i] = v % 1024); }
    if (step % 10 === 0) {
      for (const { tensor, values } of pairs) backend.upload(tensor, bytesOfArray(values));
    }
  }
  for (const { tensor, values } of pairs) assert.deepEqual(await downloadFloats(backend, tensor), values);
  await backend.close();
});

test("alloc() refuses with numbers when a tensor fits no memory or the machine", async () => {
  const backend = await openCpu({ threads: 1, arenaBytes: MEBI, memoryBytes: 2 * MEBI });
  const refusal = (bytes: number) => {
    try {
      backend.alloc({ dtype: "f32", shape: [bytes / 4] });
    } catch (error) {
      assert.ok(error instanceof DsError && error.kind === "out-of-memory");
      return error.message;
    }
    return assert.fail("not refused");
  };
  assert.match(refusal(MEBI), /1048576 bytes: a tensor must fit the 524288 bytes of one WebAssembly memory/);
  assert.match(refusal(4 * MEBI), /0 of the 2097152 bytes of memory are taken/);
  for (let i = 0; i < 4; i++) backend.alloc({ dtype: "f32", shape: [300 * 256] });
  assert.match(refusal(300 * 1024), /the 1228800 bytes held leave no room in the 4 WebAssembly memories/);
  await backend.close();
});
