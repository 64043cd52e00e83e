import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DenseAttention } from "../../core/attention/dense.ts";
import type { Backend } from "../../core/backend.ts";
import { configOf, lastRows } from "../../core/bench/attention_shape.ts";
import { fillSlot, syntheticMoments, SyntheticRows } from "../../core/bench/synthetic.ts";
import { copySlot } from "../../core/bench/copy_slot.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { tensorOf } from "../../core/tensor_io.ts";
import { ROOT } from "./commands.ts";
import { type AttentionShape, HEAD_DIM } from "./shapes.ts";

const SAMPLES = 30;
const SEED = 1;
/** K and V beyond this are drawn by torch itself: writing them to a file would take longer than all the rest. */
const MOST_SHARED_BYTES = 1.2e9;

export interface TorchRow {
  readonly heads: number;
  readonly kvHeads: number;
  readonly batch: number;
  readonly context: number;
  readonly backend: string;
  readonly medianUs: number | null;
  readonly reason?: string;
  /** Largest difference between its output and ds's, over the largest value; absent where the tensors are not the same. */
  readonly error?: number;
}

export interface TorchRecord {
  readonly device: string;
  readonly torch: string;
  readonly copyGigabytesPerSecond: number;
  readonly rows: readonly TorchRow[];
}

/** Times torch's attention on the same tensors, or on others of the same shape where there are too many. */
export async function torchAttention(
  backend: Backend,
  shapes: readonly AttentionShape[],
): Promise<TorchRecord | string> {
  const folder = mkdtempSync(join(tmpdir(), "ds-torch-"));
  try {
    const asked = [];
    for (const [i, shape] of shapes.entries()) {
      const { heads, kvHeads, batch, context } = shape;
      const bytes = batch * kvHeads * context * 2 * HEAD_DIM * 2;
      const tensors = bytes > MOST_SHARED_BYTES ? null : join(folder, `${i}-`);
      if (tensors !== null) await writeTensors(backend, shape, tensors);
      asked.push({ heads, kvHeads, batch, context, headDim: HEAD_DIM, tensors });
    }
    const { status, stdout, error } = spawnSync("python3", [join(ROOT, "tests/gpu/torch_attention.py")], {
      input: JSON.stringify({ samples: SAMPLES, shapes: asked }),
      encoding: "utf8",
      maxBuffer: 2 ** 26,
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (status !== 0) {
      return `torch's attention was not timed: ${error?.message ?? "python3 failed (see above)"}`;
    }
    return JSON.parse(stdout) as TorchRecord;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files `<prefix>query.f32`, `<prefix>kv.f16` and `<prefix>out.f32`: one step, and what the backend's dense attention makes of it. */
async function writeTensors(backend: Backend, shape: AttentionShape, prefix: string): Promise<void> {
  const { heads, kvHeads, batch, context } = shape;
  const sizes = { numHeads: heads, numKvHeads: kvHeads, headDim: HEAD_DIM, context };
  const config = configOf(sizes, 1);
  const moments = syntheticMoments(sizes, SEED);
  const cache = KvCache.alloc(backend, config, {
    slots: batch,
    capacity: context,
    dtype: "f16",
    labels: null,
  });
  const layer = cache.layers[0]!;
  await fillSlot(backend, layer, sizes, moments, { length: context, seed: SEED });
  await copySlot(
    backend,
    { cache: layer, slot: 0 },
    Array.from({ length: batch - 1 }, (_, i) => ({ cache: layer, slot: i + 1 })),
  );
  const values = new Float32Array(batch * (heads + 2 * kvHeads) * HEAD_DIM);
  new SyntheticRows(sizes, SEED + 1).fill(values, moments);
  const qkv = tensorOf(backend, values, [batch, heads + 2 * kvHeads, HEAD_DIM]);
  const out = backend.alloc({ dtype: "f32", shape: [batch, heads, HEAD_DIM] });
  const dense = new DenseAttention(backend, config);
  backend.beginStep(lastRows(batch, context));
  await dense.attend(0, out, qkv, layer);
  backend.submit();
  writeFileSync(`${prefix}out.f32`, await backend.download(out));
  writeFileSync(`${prefix}kv.f16`, await backend.download(layer.kv));
  const width = (heads + 2 * kvHeads) * HEAD_DIM;
  const query = new Float32Array(batch * heads * HEAD_DIM);
  for (let t = 0; t < batch; t++) {
    query.set(values.subarray(t * width, t * width + heads * HEAD_DIM), t * heads * HEAD_DIM);
  }
  writeFileSync(`${prefix}query.f32`, new Uint8Array(query.buffer));
  backend.free(qkv);
  backend.free(out);
  cache.free();
}
