import { DEFAULT_FORCED } from "../core/attention/budget.ts";
import { DenseAttention } from "../core/attention/dense.ts";
import { DoubleSparsityAttention } from "../core/attention/double_sparsity.ts";
import type { Attention } from "../core/attention/attention.ts";
import type { Backend } from "../core/backend.ts";
import { lastRows } from "../core/bench/attention_shape.ts";
import type { Checkpoint } from "../core/formats/checkpoint.ts";
import { KvCache, type LabelPlan } from "../core/kv_cache.ts";
import { labelChannels } from "../core/labels.ts";
import { Model } from "../core/model.ts";
import { prefillRows, Session } from "../core/session.ts";
import type { PlanFacts } from "./memory_plan.ts";

/** Bytes that a run takes of a device. */
export interface RunBytes {
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly labelBytes: number;
  /** Activations, scores, logits and what ops work in, when they are most. */
  readonly workspaceBytes: number;
}

/**
 * Runs a prefill and a decode step, dense and sparse, at full context on memory that is counted and not taken: nothing is read
 * but a checkpoint's headers, and nothing is computed.
 */
export async function rehearseRun(
  checkpoint: Checkpoint,
  backend: Backend,
  facts: PlanFacts,
): Promise<RunBytes> {
  const { config } = checkpoint;
  const { context, batch, kvDtype, layout } = facts;
  const { backend: stage, held } = backend.rehearse();
  try {
    const model = await Model.load(stage, checkpoint, { context, isRehearsal: true });
    const { tensors: weightBytes } = held();
    const plain = KvCache.alloc(stage, config, {
      slots: batch,
      capacity: context,
      dtype: kvDtype,
      labels: null,
    });
    const kvBytes = held().tensors - weightBytes;
    const cache = layout === null ? plain : plain.withLabels(noLabels(config, layout));
    const labelBytes = held().tensors - weightBytes - kvBytes;

    const step = async (attention: Attention) => {
      const logitRows = Int32Array.from({ length: batch }, (_, row) => row);
      const logits = (await model.forward(cache, lastRows(batch, context), attention, { logitRows }))!;
      const tokens = stage.alloc({ dtype: "i32", shape: [batch] });
      stage.argmax(tokens, logits);
      await stage.download(tokens);
      stage.free(tokens);
      stage.free(logits);
    };
    // Two passes, as the last of a prompt has any number of rows.
    const rows = prefillRows(backend.device);
    const prompt = new Int32Array(Math.max(1, Math.min(context - 1, 2 * rows - 1)));
    stage.free(await new Session(model, cache).prefill(prompt));
    await step(new DenseAttention(stage, config));
    if (layout !== null) await step(sparseAttention(stage, config, { ...facts, layout }));
    return {
      weightBytes,
      kvBytes,
      labelBytes,
      workspaceBytes: held().most - weightBytes - kvBytes - labelBytes,
    };
  } finally {
    await stage.close();
  }
}

/** As a run does it with nothing said: the longest lists any budget of the same sparsity needs come from its shares, which are 1. */
export function sparseAttention(
  backend: Backend,
  config: Checkpoint["config"],
  { context, layout, sparsity }: Pick<PlanFacts, "context" | "sparsity"> & {
    readonly layout: NonNullable<PlanFacts["layout"]>;
  },
): DoubleSparsityAttention {
  return new DoubleSparsityAttention(backend, config, {
    budget: { kind: "ratio", tokenSparsity: sparsity },
    forced: DEFAULT_FORCED,
    shares: null,
    perHead: false,
    tail: true,
    layout,
    denseLayers: [],
    denseBelow: 0,
  }, context);
}

/** Labels of no meaning, in memory as large as those of any other. */
export function noLabels(
  { numLayers, numKvHeads }: Checkpoint["config"],
  layout: NonNullable<PlanFacts["layout"]>,
): LabelPlan {
  const count = numKvHeads * labelChannels(layout);
  const layer = {
    channels: new Int32Array(count),
    zero: new Float32Array(count),
    step: new Float32Array(count),
    inverseStep: new Float32Array(count),
  };
  return { layout, layers: Array.from({ length: numLayers }, () => layer) };
}
