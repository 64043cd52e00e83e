import assert from "node:assert/strict";
import { test } from "node:test";
import { openLibrary } from "../../../backends/cuda/backend.ts";
import { STATUS } from "../../../backends/cuda/faults.ts";
import type { Backend, Tensor } from "../../../core/backend.ts";
import { DsError } from "../../../core/errors.ts";
import { downloadFloats, tensorOf } from "../../../core/tensor_io.ts";
import { FakeLibrary } from "./fake_library.ts";

const SHAPE = [4];
const ROWS = {
  tokens: Int32Array.of(5),
  slots: Int32Array.of(0),
  positions: Int32Array.of(9),
  homes: Int32Array.of(9),
};
const ADDS = ["add", "add", "add", "add"];
const DOWNLOAD = ["begin_download", "wait", "take_download"];

interface Bench {
  readonly library: FakeLibrary;
  readonly backend: Backend;
  /** [1, 2, 3, 4] and [1, 1, 1, 1]. */
  readonly x: Tensor;
  readonly y: Tensor;
}

function bench(): Bench {
  const library = new FakeLibrary();
  const backend = openLibrary(library);
  const x = tensorOf(backend, Float32Array.of(1, 2, 3, 4), SHAPE);
  const y = tensorOf(backend, Float32Array.of(1, 1, 1, 1), SHAPE);
  library.take();
  return { library, backend, x, y };
}

function step({ backend, x, y }: Bench, adds = 4): void {
  backend.beginStep(ROWS);
  for (let i = 0; i < adds; i++) backend.add(x, y);
  backend.submit();
}

test("ops wait for whoever must see a result and run in their order", async () => {
  const { library, backend, x, y } = bench();
  backend.add(x, y);
  backend.add(y, y);
  backend.add(x, y);
  assert.deepEqual(library.take(), []);
  assert.deepEqual([...await downloadFloats(backend, x)], [4, 5, 6, 7]);
  assert.deepEqual(library.take(), ["add", "add", "add", ...DOWNLOAD]);
  assert.deepEqual([...await downloadFloats(backend, x, 4, 8)], [5, 6]);
  backend.add(x, y);
  library.take();
  await backend.synchronize();
  assert.deepEqual(library.take(), ["add", "mark_here", "wait", "drop_mark"]);
  backend.submit();
  assert.deepEqual(library.take(), []);
});

test("a step that comes again is recorded the second time and is one call from then on", async () => {
  const all = bench();
  const { library, backend, x } = all;
  step(all);
  assert.deepEqual(library.take(), ["begin_step", ...ADDS]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "record_begin", ...ADDS, "record_end", "replay"]);
  for (let i = 0; i < 3; i++) {
    step(all);
    assert.deepEqual(library.take(), ["begin_step", "replay"]);
  }
  assert.deepEqual([...await downloadFloats(backend, x)], [21, 22, 23, 24]);
});

test("another argument, another number of ops or another kind of step is another tape", () => {
  const all = bench();
  const { library, backend, x, y } = all;
  const twoRows = {
    tokens: Int32Array.of(5, 6),
    slots: Int32Array.of(0, 0),
    positions: Int32Array.of(9, 10),
    homes: Int32Array.of(9, 10),
  };
  for (let i = 0; i < 3; i++) step(all);
  library.take();
  step(all, 5);
  assert.deepEqual(library.take(), ["begin_step", "add", ...ADDS]);
  backend.beginStep(twoRows);
  for (let i = 0; i < 4; i++) backend.add(x, y);
  backend.submit();
  assert.deepEqual(library.take(), ["begin_step", ...ADDS]);
  backend.beginStep(ROWS);
  for (let i = 0; i < 4; i++) backend.add(x, i < 3 ? y : x);
  backend.submit();
  assert.deepEqual(library.take(), ["begin_step", ...ADDS]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "replay"]);
});

test("a few ops are run, not recorded", () => {
  const all = bench();
  for (let i = 0; i < 4; i++) {
    all.library.take();
    step(all, 3);
    assert.deepEqual(all.library.take(), ["begin_step", "add", "add", "add"]);
  }
});

test("a recording whose working memory has moved is dropped, its ops run, and recorded again the next time", () => {
  const all = bench();
  const { library } = all;
  for (let i = 0; i < 3; i++) step(all);
  library.take();
  library.failures.set("replay", [STATUS.stale, "Cannot replay"]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "replay", "drop_recording", ...ADDS]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "record_begin", ...ADDS, "record_end", "replay"]);
  assert.equal(library.recordings.size, 1);
});

test("an op that cannot be recorded yet is run", async () => {
  const all = bench();
  const { library, backend, x } = all;
  step(all);
  library.take();
  library.failures.set("add", [STATUS.stale, "Cannot record"]);
  step(all);
  const recorded = ["record_begin", "add", "record_end", "drop_recording"];
  assert.deepEqual(library.take(), ["begin_step", ...recorded, ...ADDS]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "record_begin", ...ADDS, "record_end", "replay"]);
  assert.deepEqual([...await downloadFloats(backend, x)], [13, 14, 15, 16]);
});

test("where there is no memory for a graph its ops are run", async () => {
  const all = bench();
  const { library, backend, x } = all;
  step(all);
  library.take();
  library.failures.set("record_end", [STATUS.outOfMemory, "no room for a graph"]);
  step(all);
  assert.deepEqual(library.take(), ["begin_step", "record_begin", ...ADDS, "record_end", ...ADDS]);
  library.failures.set("replay", [STATUS.outOfMemory, "no room to start it"]);
  step(all);
  const recorded = ["record_begin", ...ADDS, "record_end", "replay", "drop_recording"];
  assert.deepEqual(library.take(), ["begin_step", ...recorded, ...ADDS]);
  assert.deepEqual([...await downloadFloats(backend, x)], [13, 14, 15, 16]);
});

test("a rehearsal records nothing, and what it holds is counted with its last op", async () => {
  const { library, backend } = bench();
  const { backend: stage, held } = backend.rehearse();
  assert.deepEqual(library.take(), ["open_rehearsal"]);
  const x = tensorOf(stage, Float32Array.of(1, 2, 3, 4), SHAPE);
  library.take();
  for (let i = 0; i < 3; i++) {
    step({ library, backend: stage, x, y: x });
    assert.deepEqual(library.take(), ["begin_step", ...ADDS]);
  }
  stage.add(x, x);
  assert.deepEqual(held(), { tensors: 1, workspace: 2, most: 3 });
  assert.deepEqual(library.take(), ["add", "held"]);
  await stage.close();
  assert.deepEqual(library.take(), ["close"]);
});

test("a long tape is handed over in parts, each a recording of its own", () => {
  const all = bench();
  const { library } = all;
  const parts = (adds: number) => {
    library.take();
    step(all, adds);
    return library.take().filter((name) => name !== "add");
  };
  const recorded = ["record_begin", "record_end", "replay"];
  // The second part is as the first.
  assert.deepEqual(parts(300), ["begin_step", ...recorded]);
  assert.deepEqual(parts(300), ["begin_step", "replay", "replay", ...recorded]);
  assert.deepEqual(parts(300), ["begin_step", "replay", "replay", "replay"]);
  all.backend.add(all.x, all.y);
  for (let i = 1; i < 128; i++) all.backend.add(all.x, all.x);
  assert.equal(library.take().length, 128);
});

test("at most 64 recordings are kept, those used last", () => {
  const all = bench();
  const { library } = all;
  for (let adds = 4; adds < 69; adds++) for (let i = 0; i < 3; i++) step(all, adds);
  assert.equal(library.recordings.size, 64);
  library.take();
  step(all, 5);
  assert.deepEqual(library.take(), ["begin_step", "replay"]);
  step(all, 4);
  assert.equal(library.take().length, 5);
});

test("an op that fails is told of, and those after it are left out", () => {
  const all = bench();
  const { library, backend, x, y } = all;
  library.failures.set("add", [STATUS.invalid, "Cannot add: no"]);
  for (let i = 0; i < 4; i++) backend.add(x, y);
  assert.throws(() => backend.submit(), (error) => error instanceof RangeError && /no$/.test(error.message));
  library.take();
  backend.submit();
  assert.deepEqual(library.take(), []);
});

test("what fails on the device is told where it is waited for, with the text of the thread that asks", async () => {
  const { library, backend, x } = bench();
  library.failures.set("wait", [STATUS.failed, "CUDA failed in the work before"]);
  await assert.rejects(backend.download(x), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "backend-unavailable");
    assert.match(error.message, /CUDA failed in the work before; run again/);
    return true;
  });
  assert.deepEqual(library.take(), ["begin_download", "wait", "wait"]);
  await assert.rejects(backend.synchronize(), /CUDA failed/);
});

test("close() waits for what is under way", async () => {
  const { library, backend, x } = bench();
  let open = () => {};
  library.gate = new Promise((resolve) => open = resolve);
  const reading = backend.download(x);
  const closing = backend.close();
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(library.take(), ["begin_download", "wait"]);
  open();
  await Promise.all([reading, closing]);
  assert.deepEqual(library.take(), ["take_download", "close"]);
  await backend.close();
  assert.deepEqual(library.take(), []);
});

test("the clock runs from the first op after its start to the last, and is 0 without one", async () => {
  const { library, backend, x, y } = bench();
  const clock = backend.clock!;
  backend.add(x, y);
  clock.start();
  assert.deepEqual(library.take(), ["add"]);
  assert.equal(await clock.stop(), 0);
  clock.start();
  backend.beginStep(ROWS);
  backend.add(x, y);
  backend.submit();
  backend.add(x, y);
  assert.equal(await clock.stop(), 1.5);
  const marks = ["drop_mark", "drop_mark"];
  const timed = ["begin_step", "mark_here", "add", "add", "mark_here", "wait", "milliseconds"];
  assert.deepEqual(library.take(), [...timed, ...marks]);
});
