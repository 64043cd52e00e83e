import type { Backend, LabelLayout } from "../core/backend.ts";
import { defaultLabelLayout, printLabelLayout } from "../core/labels.ts";
import { DsError } from "../core/errors.ts";
import type { OpenedModel } from "../runtime/load.ts";
import { describeRuntime, residentBytes } from "../runtime/machine.ts";
import { jsonLine } from "./json.ts";
import { memoryFault, type MemoryPlan, planMemory } from "./memory_plan.ts";
import { bytesText, grouped } from "./numbers.ts";
import { contextOf, kvDtypeOf, openChosen, openChosenBackend } from "./open_run.ts";
import type { PlanOptions } from "./options/others.ts";
import { printRatio } from "./options/values.ts";
import { ratioText } from "./run_figures.ts";
import { facts } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `ds plan`: what a model takes before it is loaded. */
export async function planCommand(options: PlanOptions, terminal: Terminal): Promise<void> {
  const opened = await openChosen(options, terminal);
  try {
    const backend = await openChosenBackend(options, terminal);
    try {
      await show(opened, backend, options, terminal);
    } finally {
      await backend.close();
    }
  } finally {
    await opened.checkpoint.close();
  }
}

async function show(
  opened: OpenedModel,
  backend: Backend,
  options: PlanOptions,
  terminal: Terminal,
): Promise<void> {
  const { config } = opened.checkpoint;
  const context = contextOf(opened, options.context);
  const kvDtype = kvDtypeOf(backend, options.kvDtype);
  const layout = options.labels ?? (config.headDim < 8 ? null : defaultLabelLayout(config.headDim));
  const { batch, sparsity } = options;
  const plan = await planMemory(opened.checkpoint, backend, { context, batch, kvDtype, layout, sparsity });
  const { totalMemory, freeMemory } = describeRuntime();
  const isInMainMemory = MAIN_MEMORY.includes(backend.name);
  const runtimeBytes = await residentBytes() + GROWTH_BYTES;
  const peakBytes = runtimeBytes + (isInMainMemory ? plan.totalBytes : 0);
  const memoryBytes = backend.device.memoryBytes ?? totalMemory;
  const freeBytes = isInMainMemory ? freeMemory : null;
  const fault =
    memoryFault("weights, cache and workspace", plan.totalBytes, plan.largestTensorBytes, backend) ??
      (peakBytes > totalMemory
        ? `the process takes ${bytesText(peakBytes)} and this machine has ${bytesText(totalMemory)}`
        : null);
  const fits = fault === null;
  const chosen = { context, batch, kvDtype, layout, sparsity };
  if (terminal.json) {
    const where = { model: opened.name, backend: backend.name, device: backend.device.name };
    const labels = layout === null ? null : printLabelLayout(layout);
    const found = { ...plan, runtimeBytes, peakBytes, memoryBytes, freeBytes, fits };
    terminal.out(jsonLine({ ...where, context, batch, kvDtype, sparsity, labels, ...found }));
  } else {
    terminal.out(planText(opened.name, backend, chosen, { ...plan, runtimeBytes, peakBytes }));
    const free = freeBytes === null ? "" : `, ${bytesText(freeBytes)} of it free now`;
    terminal.out(
      `${fits ? "fits" : "does not fit"}: ${bytesText(plan.totalBytes)} of ${
        bytesText(memoryBytes)
      }${free}\n`,
    );
  }
  if (fault !== null) {
    throw new DsError(
      "out-of-memory",
      `Cannot hold ${opened.name} with ${context} tokens: ${fault}; ` +
        "use a smaller --context, --batch or model",
    );
  }
  if (freeBytes !== null && peakBytes > freeBytes) {
    terminal.note(
      "It fits the machine, but not what is free now: end other programs or use a smaller --context",
    );
  }
}

/** Backends that keep their tensors in this process. */
const MAIN_MEMORY: readonly string[] = ["cpu", "reference"];

/** What code, heap and buffers of a run grow by from here, on any runtime. */
const GROWTH_BYTES = 28e6;

interface Chosen {
  readonly context: number;
  readonly batch: number;
  readonly kvDtype: string;
  readonly layout: LabelLayout | null;
  readonly sparsity: number;
}

function planText(
  name: string,
  { name: backend, device }: Backend,
  chosen: Chosen,
  plan: MemoryPlan & { readonly runtimeBytes: number; readonly peakBytes: number },
): string {
  const { context, batch, kvDtype, layout, sparsity } = chosen;
  const { denseKvBytesPerToken: dense, sparseKvBytesPerToken: sparse } = plan;
  const lines: (readonly [string, string])[] = [
    ["model", name],
    ["backend", `${backend} (${device.name})`],
    ["context", `${grouped(context)} tokens${batch > 1 ? ` x ${batch} sequences` : ""}`],
    ["weights", bytesText(plan.weightBytes)],
    ["KV cache", `${bytesText(plan.kvBytes)} (${kvDtype})`],
    [
      "labels",
      layout === null
        ? "none: the heads are too small"
        : `${bytesText(plan.labelBytes)} (${printLabelLayout(layout)})`,
    ],
    ["workspace", bytesText(plan.workspaceBytes)],
    ["runtime", `${bytesText(plan.runtimeBytes)}: engine, code, tokenizer and threads of this process`],
    ["process at its largest", bytesText(plan.peakBytes)],
    ["KV read per token, dense", bytesText(dense)],
  ];
  if (sparse !== null) {
    lines.push([
      `KV read per token, ${printRatio(sparsity)}`,
      `${bytesText(sparse)} (${ratioText(dense, sparse)})`,
    ]);
  }
  lines.push(["weights read per token", bytesText(plan.weightBytesPerToken)]);
  return facts(lines);
}
