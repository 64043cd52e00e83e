import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backend } from "../../core/backend.ts";
import { toBf16, toF16 } from "../../core/half.ts";
import { Random } from "../../core/random.ts";
import { bytesOfArray } from "../../core/tensor_io.ts";
import { skip } from "./skip.ts";

/** Values around every place where a half-precision type rounds, overflows or loses bits. */
function hardValues(count: number): Float32Array {
  const random = new Random(3);
  const values = new Float32Array(count);
  const bits = new Uint32Array(values.buffer);
  const edges = [0, 0x33000000, 0x33000001, 0x38800000, 0x387fffff, 0x477fefff, 0x477ff000, 0x7f800000, 0x1];
  for (let i = 0; i < count; i++) {
    const sign = i % 2 === 0 ? 0 : 0x80000000;
    if (i < 2 * edges.length) bits[i] = sign | edges[i >> 1];
    else if (i % 3 === 0) bits[i] = sign | (0x33000000 + Math.floor(random.next() * 0x15000000));
    // Halfway between two neighbours of each type.
    else if (i % 3 === 1) {
      bits[i] = sign | (0x38000000 + (Math.floor(random.next() * 2 ** 14) << 13) + 0x1000);
    } else bits[i] = sign | ((0x3000 + Math.floor(random.next() * 0x1000)) << 16) | 0x8000;
  }
  return values;
}

/** Tests, on a backend each, of what `appendKv` makes of hard values; skipped for the reason of its `absence`. */
export function testKvRounding(open: () => Promise<Backend>, absence: string | null = null): void {
  for (const dtype of ["f16", "bf16"] as const) {
    for (const d of [64, 6]) {
      test(`appendKv() rounds as core does when the cache is ${dtype} with heads of ${d}`, async (t) => {
        if (absence !== null) return skip(t, absence);
        await checkRounding(await open(), dtype, d);
      });
    }
  }
}

async function checkRounding(backend: Backend, dtype: "f16" | "bf16", d: number): Promise<void> {
  const T = 64;
  const values = hardValues(T * 3 * d);
  const qkv = backend.alloc({ dtype: "f32", shape: [T, 3, d] });
  const kv = backend.alloc({ dtype, shape: [1, 1, T, 2, d] });
  backend.upload(qkv, bytesOfArray(values));
  const rows = Int32Array.from({ length: T }, (_, t) => t);
  backend.beginStep({ tokens: rows, slots: new Int32Array(T), positions: rows, homes: rows });
  backend.appendKv({ kv, labels: null }, qkv);
  const found = new Uint16Array((await backend.download(kv)).buffer);
  const convert = dtype === "f16" ? toF16 : toBf16;
  for (let t = 0; t < T; t++) {
    for (let c = 0; c < 2 * d; c++) {
      const value = values[(t * 3 + 1) * d + c];
      assert.equal(found[t * 2 * d + c], convert(value), `${value} of row ${t}, channel ${c}`);
    }
  }
  await backend.close();
}
