import assert from "node:assert/strict";
import { test } from "node:test";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { findGpu, openDevice } from "../../../backends/webgpu/device.ts";
import { Faults } from "../../../backends/webgpu/faults.ts";
import { Queue } from "../../../backends/webgpu/queue.ts";
import { PLAIN } from "../../../backends/webgpu/self_test.ts";
import { provideShader } from "../../../backends/webgpu/shaders.ts";
import { DsError } from "../../../core/errors.ts";
import { skip } from "../../support/skip.ts";
import { isOwnGpu, useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();
/** Why what only a GPU in software shows is not tested. */
const inSoftware = absence ??
  (isOwnGpu ? "a GPU in software, and DS_TEST_GPU=1 asks for the machine's own" : null);

async function openQueue(): Promise<Queue> {
  const device = await openDevice(await findGpu(true));
  return new Queue(device, new Faults(device), PLAIN, null);
}

const refusal = (kind: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof DsError && error.kind === kind, String(error));
  assert.match(error.message, message);
  return true;
};

test("a GPU that has no more memory says how much was asked for", async (t) => {
  if (inSoftware !== null) return skip(t, inSoftware);
  const queue = await openQueue();
  const { buffer } = queue.buffers.take(2 ** 30, "a f32 tensor of [1024, 262144]");
  await assert.rejects(
    queue.read([{ buffer, at: 0, bytes: 4 }]),
    refusal(
      "out-of-memory",
      /a f32 tensor of \[1024, 262144\], 1073741824 bytes, .* use a smaller --context/,
    ),
  );
  await queue.close();
});

test("alloc() refuses what passes the memory of the machine, with both numbers, before the GPU is asked", async (t) => {
  if (inSoftware !== null) return skip(t, inSoftware);
  const backend = await openWebGpu({ memoryBytes: 1_000_000 });
  const kept = backend.alloc({ dtype: "f32", shape: [200_000] });
  assert.throws(
    () => backend.alloc({ dtype: "f32", shape: [100, 1000] }),
    refusal("out-of-memory", /\[100, 1000\], 400000 bytes, .* 800000 of its 1000000 bytes are taken/),
  );
  backend.free(kept);
  backend.alloc({ dtype: "f32", shape: [100, 1000] });
  await backend.close();
});

test("a shader that does not compile is shown with its lines", async (t) => {
  if (absence !== null) return skip(t, absence);
  const queue = await openQueue();
  provideShader(
    "broken",
    "@group(0) @binding(0) var<storage, read_write> out: array<f32>;\n\n@compute @workgroup_size(1)\nfn main() {\n  out[0] = SIZE;\n}\n",
  );
  const out = queue.scratch("out", 16);
  queue.run(queue.kernel("broken", { SIZE: 3 }), [], [out], [1]);
  await assert.rejects(
    queue.read([{ buffer: out, at: 0, bytes: 4 }]),
    (error: Error) => {
      assert.match(error.message, /^Cannot compile the shader broken\.wgsl: /);
      assert.match(error.message, /\n> +6 \| +out\[0\] = SIZE;\n/);
      return true;
    },
  );
  await queue.close();
});

test("a GPU that is lost ends what waits for it with a reason and a way on", async (t) => {
  if (absence !== null) return skip(t, absence);
  const queue = await openQueue();
  const out = queue.scratch("out", 16);
  queue.device.destroy();
  await assert.rejects(
    queue.read([{ buffer: out, at: 0, bytes: 4 }]),
    refusal("backend-unavailable", /^Cannot go on as the GPU was lost \(destroyed\): .*--backend cpu/),
  );
});

test("a GPU in software is refused where it was not asked for", async (t) => {
  if (inSoftware !== null) return skip(t, inSoftware);
  await assert.rejects(
    openWebGpu({ software: false }),
    refusal("backend-unavailable", /there is only SwiftShader.*, in software: use --backend cpu/),
  );
});

test("attention refuses heads whose channels it has no kernel for", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = await openWebGpu();
  for (const d of [6, 260]) {
    const kv = backend.alloc({ dtype: "f32", shape: [1, 1, 4, 2, d] });
    const qkv = backend.alloc({ dtype: "f32", shape: [1, 3, d] });
    const out = backend.alloc({ dtype: "f32", shape: [1, 1, d] });
    backend.beginStep({
      tokens: new Int32Array(1),
      slots: new Int32Array(1),
      positions: new Int32Array(1),
      homes: new Int32Array(1),
    });
    assert.throws(
      () => backend.attend(out, qkv, { kv, labels: null }, { scale: 1 }),
      refusal(
        "backend-unavailable",
        new RegExp(`with ${d} channels per head .* multiples of 4 up to 256: use --backend cpu`),
      ),
    );
  }
  await backend.close();
});
