import { DEFAULT_FORCED, headTokens } from "../core/attention/budget.ts";
import { DoubleSparsityAttention } from "../core/attention/double_sparsity.ts";
import type { Backend, LabelLayout } from "../core/backend.ts";
import { bytesOf } from "../core/dtype.ts";
import type { Checkpoint, CheckpointTensor } from "../core/formats/checkpoint.ts";
import { VALUE_SUM_TOKENS } from "../core/kv_cache.ts";
import { labelBytes, labelChannels } from "../core/labels.ts";
import { PREFILL_CHUNK } from "../core/session.ts";
import { stepTraffic } from "../core/traffic.ts";

export interface PlanFacts {
  readonly context: number;
  readonly batch: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
  /** Null: no labels, dense alone. */
  readonly layout: LabelLayout | null;
  readonly sparsity: number;
}

/** Bytes on the device. */
export interface MemoryPlan {
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly labelBytes: number;
  readonly workspaceBytes: number;
  readonly totalBytes: number;
  /** Read by one decode step of one sequence at full context. */
  readonly denseKvBytesPerToken: number;
  readonly sparseKvBytesPerToken: number | null;
  readonly weightBytesPerToken: number;
}

/** What loading and running a checkpoint would allocate, from its headers alone. */
export function planMemory(checkpoint: Checkpoint, backend: Backend, plan: PlanFacts): MemoryPlan {
  const { config, tensors } = checkpoint;
  const { context, batch, kvDtype, layout, sparsity } = plan;
  const { numLayers: L, numHeads: Hq, numKvHeads: Hk, headDim: d, hiddenSize: D, ffnSize: F, vocabSize: V } =
    config;

  let weightBytes = backend.footprint({ dtype: "f32", shape: [context, 2, d / 2] });
  let gathered = weightBytes;
  for (const [name, tensor] of tensors) {
    const bytes = loadedBytes(tensor, backend);
    weightBytes += bytes;
    if (name === "embedding" && tensors.has("output")) gathered += bytes;
  }
  const kvBytes = L * backend.footprint({ dtype: kvDtype, shape: [batch, Hk, context, 2, d] });
  const sums = Math.ceil(context / VALUE_SUM_TOKENS) * d * 4;
  const labels = layout === null
    ? 0
    : L * Hk * (batch * (context * labelBytes(layout) + sums) + labelChannels(layout) * 16);

  const perRow = 2 * D + (Hq + 2 * Hk) * d + Hq * d + 3 * F;
  const most = Math.max(
    headTokens({ kind: "ratio", tokenSparsity: sparsity }, DEFAULT_FORCED, 1, context),
    1,
  );
  const selecting = layout === null ? 0 : batch * (Hq * context + Hk * most);
  const workspaceBytes = 4 * ((PREFILL_CHUNK + batch) * perRow + batch * (D + V) + selecting);

  const sparse = layout === null ? null : new DoubleSparsityAttention(backend, config, {
    budget: { kind: "ratio", tokenSparsity: sparsity },
    forced: DEFAULT_FORCED,
    shares: null,
    perHead: false,
    tail: true,
    layout,
    denseLayers: [],
    denseBelow: 0,
  }, context);
  return {
    weightBytes,
    kvBytes,
    labelBytes: labels,
    workspaceBytes,
    totalBytes: weightBytes + kvBytes + labels + workspaceBytes,
    denseKvBytesPerToken: L * Hk * context * bytesOf(kvDtype, 2 * d),
    sparseKvBytesPerToken: sparse && stepTraffic(sparse, config, kvDtype, context).bytes,
    weightBytesPerToken: weightBytes - gathered,
  };
}

/** As `loadWeights` keeps it: vectors as f32, matrices as they are where the backend takes that type. */
function loadedBytes({ dtype, shape }: CheckpointTensor, backend: Backend): number {
  const kept = shape.length === 1 ? undefined : backend.device.weightDtypes.find((one) => one === dtype);
  return backend.footprint({ dtype: kept ?? "f32", shape });
}
