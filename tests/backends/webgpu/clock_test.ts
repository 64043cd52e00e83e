import assert from "node:assert/strict";
import { test } from "node:test";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { skip } from "../../support/skip.ts";
import { useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();

test("the clock counts the ops between start and stop, and nothing where there are none", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = await openWebGpu();
  const { clock } = backend;
  if (clock === null) return skip(t, "this GPU has no time stamps");
  const x = backend.alloc({ dtype: "f32", shape: [1000, 100] });
  const milliseconds = async (adds: number) => {
    const started = performance.now();
    clock.start();
    for (let i = 0; i < adds; i++) {
      backend.add(x, x);
      // Of several submissions.
      if (i % 7 === 0) backend.submit();
    }
    const found = await clock.stop();
    assert.ok(found <= performance.now() - started + 1, `${found} ms is more than the host waited`);
    return found;
  };
  assert.equal(await milliseconds(0), 0);
  const few = await milliseconds(20);
  const many = await milliseconds(400);
  assert.ok(few > 0 && many > few, `20 adds took ${few} ms, 400 took ${many}`);
  await backend.close();
});
