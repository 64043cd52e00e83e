import type { Backend, LabelLayout } from "../core/backend.ts";
import { bytesOf } from "../core/dtype.ts";
import type { Checkpoint, CheckpointTensor } from "../core/formats/checkpoint.ts";
import { stepTraffic } from "../core/traffic.ts";
import { heldDType } from "../core/weights.ts";
import { bytesText } from "./numbers.ts";
import { rehearseRun, sparseAttention } from "./rehearse_run.ts";

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
  /** Of the largest tensor among them. */
  readonly largestTensorBytes: number;
  /** Read by one decode step of one sequence at full context. */
  readonly denseKvBytesPerToken: number;
  readonly sparseKvBytesPerToken: number | null;
  readonly weightBytesPerToken: number;
}

/** What loading and running a checkpoint would allocate, from its headers alone. */
export async function planMemory(
  checkpoint: Checkpoint,
  backend: Backend,
  plan: PlanFacts,
): Promise<MemoryPlan> {
  const { config } = checkpoint;
  const { context, kvDtype, layout, batch } = plan;
  const { numLayers: L, numKvHeads: Hk, headDim: d } = config;
  const bytes = await rehearseRun(checkpoint, backend, plan);
  const { largestTensorBytes, gatheredBytes } = planWeights(checkpoint, backend, context);
  const layerKvBytes = backend.footprint({ dtype: kvDtype, shape: [batch, Hk, context, 2, d] });
  const sparse = layout === null ? null : sparseAttention(backend, config, { ...plan, layout });
  return {
    ...bytes,
    totalBytes: bytes.weightBytes + bytes.kvBytes + bytes.labelBytes + bytes.workspaceBytes,
    largestTensorBytes: Math.max(largestTensorBytes, layerKvBytes),
    denseKvBytesPerToken: L * Hk * context * bytesOf(kvDtype, 2 * d),
    sparseKvBytesPerToken: sparse && stepTraffic(sparse, config, kvDtype, context).bytes,
    weightBytesPerToken: bytes.weightBytes - gatheredBytes,
  };
}

/** Bytes that the weights of a checkpoint take on a backend. */
export interface WeightPlan {
  readonly weightBytes: number;
  readonly largestTensorBytes: number;
  /** Of what a step reads a few rows of: the rotary table, and the embedding where it is no output as well. */
  readonly gatheredBytes: number;
}

/** What `loadWeights` would allocate, from the headers alone. */
export function planWeights({ tensors, config }: Checkpoint, backend: Backend, context: number): WeightPlan {
  const tableBytes = backend.footprint({ dtype: "f32", shape: [context, 2, config.headDim / 2] });
  let weightBytes = tableBytes;
  let largestTensorBytes = tableBytes;
  let gatheredBytes = tableBytes;
  // Matrices that are stacked come one after the other.
  let stack = { name: "", bytes: 0 };
  for (const [name, tensor] of tensors) {
    const bytes = loadedBytes(tensor, backend);
    weightBytes += bytes;
    if (name === "embedding" && tensors.has("output")) gatheredBytes += bytes;
    if (name.endsWith(".bias")) continue;
    const stacked = `${name.replace(/[qkv]$/, "qkv").replace(/(gate|up)$/, "gateUp")} ${tensor.dtype}`;
    stack = { name: stacked, bytes: bytes + (stacked === stack.name ? stack.bytes : 0) };
    largestTensorBytes = Math.max(largestTensorBytes, stack.bytes);
  }
  return { weightBytes, largestTensorBytes, gatheredBytes };
}

/**
 * Why a backend cannot hold what was planned; null where it can.
 *
 * @param what "the weights"
 */
export function memoryFault(
  what: string,
  totalBytes: number,
  largestTensorBytes: number,
  { name, device }: Backend,
): string | null {
  const { memoryBytes, mostTensorBytes = Infinity } = device;
  if (memoryBytes !== null && totalBytes > memoryBytes) {
    return `${what} take ${bytesText(totalBytes)} and backend ${name} has ${
      bytesText(memoryBytes)
    } to hold them`;
  }
  if (largestTensorBytes > mostTensorBytes) {
    return `one tensor takes ${bytesText(largestTensorBytes)} and backend ${name} holds at most ${
      bytesText(mostTensorBytes)
    } together`;
  }
  return null;
}

/** As `loadWeights` keeps it. */
function loadedBytes(tensor: CheckpointTensor, backend: Backend): number {
  return backend.footprint({ dtype: heldDType(tensor, backend.device), shape: tensor.shape });
}
