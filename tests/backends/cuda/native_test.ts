import assert from "node:assert/strict";
import { test } from "node:test";
import { openLibrary } from "../../../backends/cuda/backend.ts";
import type { Tensor } from "../../../core/backend.ts";
import { type CudaLibrary, loadCudaLibrary } from "../../../backends/cuda/library.ts";
import { Stream } from "../../../backends/cuda/stream.ts";
import { bytesOfArray, downloadFloats, tensorOf } from "../../../core/tensor_io.ts";
import { useTestCuda } from "../../support/cuda.ts";
import { skip } from "../../support/skip.ts";

const found = useTestCuda();

function load(): Promise<CudaLibrary> {
  assert.ok(typeof found !== "string");
  return loadCudaLibrary(found.library);
}

test("what was uploaded may be written anew at once, however much it is", async (t) => {
  if (typeof found === "string") return skip(t, found);
  const backend = openLibrary(await load());
  for (const [rows, first] of [[3, 0], [2048, 0], [5000, 7], [16384, 0], [16385, 0], [100_000, 1]] as const) {
    const tensor = backend.alloc({ dtype: "u8", shape: [first + rows, 1] });
    const data = Uint8Array.from({ length: rows }, (_, i) => i % 251);
    const wanted = data.slice();
    backend.upload(tensor, data, first);
    data.fill(0xee);
    assert.deepEqual(await backend.download(tensor, first), wanted, `${rows} bytes`);
    backend.free(tensor);
  }
  await backend.close();
});

test("ops take more rows than a grid is high", async (t) => {
  if (typeof found === "string") return skip(t, found);
  const R = 65_537;
  const backend = openLibrary(await load());
  const lastOf = async (shape: number[], write: (out: Tensor) => void) => {
    const out = backend.alloc({ dtype: "f32", shape });
    write(out);
    return (await downloadFloats(backend, out)).at(-1)!;
  };
  const values = tensorOf(backend, Float32Array.from({ length: 2 * R }, (_, i) => i % 2 + 1), [R, 2]);
  const gated = await lastOf([R, 1], (out) => backend.swiglu(out, values));
  assert.ok(Math.abs(gated - 2 / (1 + Math.exp(-1))) < 1e-6, `swiglu: ${gated}`);
  const rows = Int32Array.from({ length: R }, (_, t) => t % 3);
  backend.beginStep({ tokens: rows, slots: rows, positions: rows, homes: rows });
  rows.fill(0);
  const table = tensorOf(backend, Float32Array.of(5, 6, 7), [3, 1]);
  assert.equal(await lastOf([R, 1], (out) => backend.embed(out, table)), 5 + (R - 1) % 3);
  await backend.close();
});

test("closing gives back all that was made on a stream", async (t) => {
  if (typeof found === "string") return skip(t, found);
  if (!found.isHost) return skip(t, "what is free of a GPU is not this process's alone to say");
  const library = await load();
  const other = new Stream(library);
  const { freeBytes } = other.describe();
  const stream = new Stream(library);
  const one = Int32Array.of(0);
  stream.beginStep({ tokens: one, slots: one, positions: one, homes: one });
  const tensor = stream.alloc({ dtype: "f32", shape: [1000] });
  stream.alloc({ dtype: "f32", shape: [1000], place: "host" });
  stream.recordBegin();
  stream.clear(tensor);
  stream.recordEnd();
  stream.markHere();
  await stream.wait(stream.beginDownload(tensor, 0, 4000));
  assert.ok(other.describe().freeBytes < freeBytes);
  stream.close();
  stream.close();
  assert.equal(other.describe().freeBytes, freeBytes);
  other.close();
});

test("memory that is not there is refused with what was asked for and what there is", async (t) => {
  if (typeof found === "string") return skip(t, found);
  const backend = openLibrary(await load());
  const shape = [2 ** 24, 2 ** 20];
  assert.throws(
    () => backend.alloc({ dtype: "f32", shape }),
    /\[16777216, 1048576\], 70368744177664 bytes: \d+ of the device's \d+ bytes are free, beside \d+ of tensors/,
  );
  const kept = backend.alloc({ dtype: "f32", shape: [1000], place: "host" });
  assert.throws(
    () => backend.alloc({ dtype: "f32", shape, place: "host" }),
    /70368744177664 bytes of the host's memory for the device to read, beside 4000 of tensors/,
  );
  backend.upload(kept, bytesOfArray(new Float32Array(1000).fill(3)));
  assert.equal((await downloadFloats(backend, kept)).at(-1), 3);
  await backend.close();
});
