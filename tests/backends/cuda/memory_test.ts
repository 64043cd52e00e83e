import assert from "node:assert/strict";
import { test } from "node:test";
import { openLibrary } from "../../../backends/cuda/backend.ts";
import type { Backend, Tensor } from "../../../core/backend.ts";
import { DsError } from "../../../core/errors.ts";
import { bytesOfArray, downloadFloats, tensorOf } from "../../../core/tensor_io.ts";
import { FakeLibrary } from "./fake_library.ts";

function open(): { library: FakeLibrary; backend: Backend; f32: (...shape: number[]) => Tensor } {
  const library = new FakeLibrary();
  const backend = openLibrary(library);
  library.take();
  return { library, backend, f32: (...shape) => backend.alloc({ dtype: "f32", shape }) };
}

const FOUR = bytesOfArray(Float32Array.of(1, 2, 3, 4));
const UPLOADED = ["alloc", "upload"];
const DOWNLOADED = ["begin_download", "wait", "take_download"];

test("a new tensor is cleared when it is first read, not before", async () => {
  const { library, backend, f32 } = open();
  const x = f32(4);
  const y = f32(4);
  assert.deepEqual(library.take(), ["alloc", "alloc"]);
  backend.add(x, y);
  backend.add(x, y);
  backend.submit();
  assert.deepEqual(library.take(), ["clear", "clear", "add", "add"]);
  assert.deepEqual([...await downloadFloats(backend, f32(2, 2))], [0, 0, 0, 0]);
  assert.deepEqual(library.take(), ["alloc", "clear", ...DOWNLOADED]);
});

test("what an op overwrites wholly is not cleared, unless it reads it too", () => {
  const { library, backend, f32 } = open();
  const x = tensorOf(backend, Float32Array.of(1, 2, 3, 4), [1, 4]);
  const weight = tensorOf(backend, new Float32Array(16), [4, 4]);
  const norm = tensorOf(backend, new Float32Array(4), [4]);
  const run = (body: () => void) => {
    library.take();
    body();
    backend.submit();
    return library.take().filter((name) => name !== "alloc");
  };
  assert.deepEqual(run(() => backend.rmsNorm(f32(1, 4), x, norm, 1e-5)), ["rms_norm"]);
  const last = f32(1, 4);
  assert.deepEqual(run(() => backend.rmsNorm(last, last, norm, 1e-5)), ["clear", "rms_norm"]);
  assert.deepEqual(run(() => backend.linear(f32(1, 4), x, weight, null)), ["linear"]);
  assert.deepEqual(run(() => backend.linear(f32(1, 5), x, weight, null)), ["clear", "linear"]);
  const wide = f32(1, 8);
  const both = run(() => {
    backend.linear(wide, x, weight, null, 0);
    backend.linear(wide, x, weight, null, 4);
  });
  assert.deepEqual(both, ["clear", "linear", "linear"]);
});

test("an upload goes at once, past the ops that do not name its tensor and behind those that do", async () => {
  const { library, backend, f32 } = open();
  const [x, y, z] = [f32(4), f32(4), f32(4)];
  for (const tensor of [x, y]) backend.upload(tensor, FOUR);
  backend.add(x, y);
  library.take();
  backend.upload(z, FOUR);
  assert.deepEqual(library.take(), ["upload"]);
  backend.upload(y, FOUR.subarray(0, 0));
  assert.deepEqual(library.take(), []);
  backend.upload(y, bytesOfArray(new Float32Array(4)));
  assert.deepEqual(library.take(), ["add", "upload"]);
  assert.deepEqual([...await downloadFloats(backend, x)], [2, 4, 6, 8]);
  assert.deepEqual([...await downloadFloats(backend, y)], [0, 0, 0, 0]);
});

test("an upload of the bytes a small tensor holds already is none, until an op or another upload writes it", () => {
  const { library, backend, f32 } = open();
  const uploads = (tensor: Tensor, data: Uint8Array, byteOffset = 0) => {
    backend.submit();
    library.take();
    backend.upload(tensor, data, byteOffset);
    return library.take().length;
  };
  const [x, y] = [f32(1, 4), f32(1, 4)];
  for (const tensor of [x, y]) assert.equal(uploads(tensor, FOUR), 1);
  assert.equal(uploads(x, FOUR.slice()), 0);
  backend.add(x, y);
  assert.equal(uploads(x, FOUR), 1);
  assert.equal(uploads(y, FOUR), 0);
  backend.free(y);
  const again = f32(1, 4);
  assert.equal(uploads(again, FOUR), 0);
  backend.add(x, again);
  backend.submit();
  assert.ok(!library.take().includes("clear"));
  backend.rmsNorm(again, x, x, 1e-5);
  assert.equal(uploads(again, FOUR), 1);
  assert.equal(uploads(again, FOUR.slice(0, 0)), 0);
  const two = f32(2, 4);
  const eight = bytesOfArray(new Float32Array(8));
  assert.equal(uploads(two, eight), 1);
  assert.equal(uploads(two, FOUR, 16), 1);
  assert.equal(uploads(two, eight), 1);
  const large = f32(2048);
  const data = new Uint8Array(8192);
  assert.equal(uploads(large, data), 1);
  assert.equal(uploads(large, data), 1);
});

test("a partial upload to a new tensor clears the rest", async () => {
  const { library, backend, f32 } = open();
  const x = f32(2, 4);
  backend.upload(x, FOUR, 16);
  assert.deepEqual(library.take(), ["alloc", "clear", "upload"]);
  assert.deepEqual([...await downloadFloats(backend, x)], [0, 0, 0, 0, 1, 2, 3, 4]);
  library.take();
  backend.upload(f32(4), FOUR);
  assert.deepEqual(library.take(), UPLOADED);
});

test("freed tensors come back in the same order whatever they were freed in, and are zero", async () => {
  const { library, backend, f32 } = open();
  const handles = () => {
    const [a, b, c] = [f32(4), f32(4), f32(2, 2)] as unknown as { handle: number }[];
    return { all: [a, b, c] as unknown as Tensor[], handles: [a!.handle, b!.handle, c!.handle] };
  };
  const first = handles();
  for (const tensor of first.all) backend.upload(tensor, FOUR);
  for (const i of [1, 0, 2]) backend.free(first.all[i]!);
  const second = handles();
  assert.deepEqual(second.handles, first.handles);
  assert.ok(second.all.every((tensor, i) => tensor !== first.all[i]));
  assert.deepEqual([...await downloadFloats(backend, second.all[0]!)], [0, 0, 0, 0]);
  for (const i of [2, 0, 1]) backend.free(second.all[i]!);
  assert.deepEqual(handles().handles, first.handles);
  assert.equal(library.take().filter((name) => name === "alloc").length, 3);
});

test("ops that name a freed tensor run before it is written anew", async () => {
  const { backend, f32 } = open();
  const x = f32(4);
  backend.upload(x, FOUR);
  const y = f32(4);
  backend.upload(y, FOUR);
  backend.add(x, y);
  backend.free(y);
  const z = f32(4);
  backend.upload(z, bytesOfArray(new Float32Array(4)));
  assert.deepEqual([...await downloadFloats(backend, x)], [2, 4, 6, 8]);
});

test("large tensors are given back at once, and what was recorded of them is dropped", () => {
  const { library, backend, f32 } = open();
  const large = f32(2 ** 22 + 1);
  const small = f32(4);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 4; j++) backend.add(small, large);
    backend.submit();
  }
  assert.equal(library.recordings.size, 1);
  backend.add(small, large);
  library.take();
  backend.free(small);
  assert.deepEqual(library.take(), []);
  backend.free(large);
  assert.deepEqual(library.take(), ["add", "drop_recording", "free"]);
  assert.equal(library.memory.size, 1);
});

test("an allocation that finds no room takes what is parked, and refuses only then", () => {
  const { library, backend, f32 } = open();
  library.room = 64;
  const [a, b] = [f32(4), f32(8)];
  backend.add(a, a);
  for (const tensor of [a, b]) backend.free(tensor);
  library.take();
  const c = f32(16);
  assert.deepEqual(library.take(), ["alloc", "clear", "add", "free", "free", "alloc"]);
  assert.throws(() => f32(16), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "out-of-memory");
    assert.match(error.message, /^Cannot hold it: there is no room; use a smaller --context/);
    return true;
  });
  backend.free(c);
  assert.doesNotThrow(() => f32(16));
});
