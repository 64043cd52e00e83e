import type { Backend } from "../core/backend.ts";
import { AttentionBench } from "../core/bench/attention.ts";
import {
  type AttentionBenchShape,
  type AttentionPlan,
  planAttentionBench,
} from "../core/bench/attention_shape.ts";
import type { Ceiling } from "../core/bench/ceiling.ts";
import { type BenchRow, benchRow } from "../core/bench/row.ts";
import { percentile } from "../core/bench/timing.ts";
import { DsError } from "../core/errors.ts";
import { defaultLabelLayout, labelChannels, printLabelLayout } from "../core/labels.ts";
import { deviceMemory, requireMemory } from "./bench_memory.ts";
import { BENCH_SEED, type BenchKindRun, timeWithBar } from "./bench_run.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

/** `ds bench attention`: one layer's attention of a decode step, dense and sparse, and the parts of the sparse one. */
export function openAttentionKind(options: BenchOptions, terminal: Terminal): BenchKindRun {
  checkShape(options);
  return {
    check(backend) {
      for (const context of options.contexts) {
        const { deviceBytes } = planOf(shapeOf(options, backend, context), backend);
        const what = `attention at ${context} tokens and batch ${options.batch}`;
        requireMemory(
          backend,
          deviceBytes,
          what,
          "ask for shorter --contexts, a smaller --batch or fewer --kv-heads",
        );
      }
    },
    async measure(backend, ceiling, add) {
      for (const context of options.contexts) {
        for (const row of await measureContext(backend, ceiling, context, options, terminal)) add(row);
      }
    },
    close: () => Promise.resolve(),
  };
}

async function measureContext(
  backend: Backend,
  ceiling: Ceiling,
  context: number,
  options: BenchOptions,
  terminal: Terminal,
): Promise<BenchRow[]> {
  const { signal } = terminal;
  const shape = shapeOf(options, backend, context);
  const label = `${backend.name}: attention at ${context}`;
  const bar = terminal.progress(`${label}, filling the cache`, 0, "tokens");
  const bench = await AttentionBench.open(backend, shape, planOf(shape, backend), {
    seed: BENCH_SEED,
    signal,
  }).finally(() => bar.end());
  try {
    const { cases, plan } = bench;
    const timings = await timeWithBar(cases, label, options, terminal, { clock: backend.clock });
    const dense = { medianUs: percentile(timings[0]!.samplesUs, 0.5), bytes: cases[0]!.bytes! };
    return cases.map(({ name, bytes, isStep }, i) =>
      benchRow({
        backend: backend.name,
        device: backend.device.name,
        shape: shapeText(shape),
        context,
        mode: name,
        bytes,
        ceilingGigabytesPerSecond: ceiling.gigabytesPerSecond,
        timing: timings[i]!,
        dense: isStep ? dense : null,
        tokens: null,
        copies: plan.copies,
        workingSetBytes: plan.workingSetBytes,
      })
    );
  } finally {
    bench.free();
  }
}

function planOf(shape: AttentionBenchShape, backend: Backend): AttentionPlan {
  return planAttentionBench(shape, deviceMemory(backend), backend.device.cacheBytes);
}

function shapeOf(options: BenchOptions, { device }: Backend, context: number): AttentionBenchShape {
  return {
    numHeads: options.heads,
    numKvHeads: options.kvHeads,
    headDim: options.headDim,
    batch: options.batch,
    context,
    kvDtype: device.kvDtypes[0]!,
    layout: options.labels ?? defaultLabelLayout(options.headDim),
    tokenSparsity: options.sparsity,
  };
}

/** "b1 h32/8 d128 f16 16x4+32x2": batch, Hq/Hk, d, K and V, labels */
function shapeText({ batch, numHeads, numKvHeads, headDim, kvDtype, layout }: AttentionBenchShape): string {
  return `b${batch} h${numHeads}/${numKvHeads} d${headDim} ${kvDtype} ${printLabelLayout(layout)}`;
}

function checkShape({ heads, kvHeads, headDim, labels }: BenchOptions): void {
  if (heads % kvHeads !== 0) {
    throw new DsError(
      "usage",
      `Cannot share ${kvHeads} KV heads among ${heads} query heads: --heads must be a multiple of --kv-heads`,
    );
  }
  if (headDim % 2 !== 0) {
    throw new DsError("usage", `Cannot bench heads of ${headDim} channels: --head-dim must be even`);
  }
  if (labels !== null && labelChannels(labels) > headDim) {
    throw new DsError(
      "usage",
      `Cannot label ${labelChannels(labels)} channels (--labels ${
        printLabelLayout(labels)
      }) of heads that have ` +
        `${headDim}: choose fewer, or a larger --head-dim`,
    );
  }
}
