import { openBackend } from "../backends/mod.ts";
import type { Backend, LabelLayout } from "../core/backend.ts";
import { defaultLabelLayout, printLabelLayout } from "../core/labels.ts";
import type { OpenedModel } from "../runtime/load.ts";
import { describeRuntime } from "../runtime/machine.ts";
import { jsonLine } from "./json.ts";
import { type MemoryPlan, planMemory } from "./memory_plan.ts";
import { bytesText, grouped } from "./numbers.ts";
import { contextOf, kvDtypeOf, openChosen } from "./open_run.ts";
import type { PlanOptions } from "./options/others.ts";
import { printRatio } from "./options/values.ts";
import { ratioText } from "./run_figures.ts";
import { facts } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `ds plan`: what a model takes before it is loaded. */
export async function planCommand(options: PlanOptions, terminal: Terminal): Promise<void> {
  const opened = await openChosen(options, terminal);
  try {
    const backend = await openBackend(options.backend);
    try {
      show(opened, backend, options, terminal);
    } finally {
      await backend.close();
    }
  } finally {
    await opened.checkpoint.close();
  }
}

function show(opened: OpenedModel, backend: Backend, options: PlanOptions, terminal: Terminal): void {
  const { config } = opened.checkpoint;
  const context = contextOf(opened, options.context);
  const kvDtype = kvDtypeOf(backend, options.kvDtype);
  const layout = options.labels ?? (config.headDim < 8 ? null : defaultLabelLayout(config.headDim));
  const { batch, sparsity } = options;
  const plan = planMemory(opened.checkpoint, backend, { context, batch, kvDtype, layout, sparsity });
  const machine = describeRuntime();
  const memoryBytes = backend.device.memoryBytes ?? machine.totalMemory;
  const freeBytes = backend.device.memoryBytes === null ? machine.freeMemory : null;
  const fits = plan.totalBytes <= memoryBytes;
  if (terminal.json) {
    const chosen = {
      context,
      batch,
      kvDtype,
      sparsity,
      labels: layout === null ? null : printLabelLayout(layout),
    };
    const where = { model: opened.name, backend: backend.name, device: backend.device.name };
    return terminal.out(jsonLine({ ...where, ...chosen, ...plan, memoryBytes, freeBytes, fits }));
  }
  terminal.out(planText(opened.name, backend, { context, batch, kvDtype, layout, sparsity }, plan));
  const free = freeBytes === null ? "" : `, ${bytesText(freeBytes)} of it free now`;
  terminal.out(
    `${fits ? "fits" : "does not fit"}: ${bytesText(plan.totalBytes)} of ${bytesText(memoryBytes)}${free}\n`,
  );
  if (fits && freeBytes !== null && plan.totalBytes > freeBytes) {
    terminal.note(
      "It fits the machine, but not what is free now: end other programs or use a smaller --context",
    );
  }
}

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
  plan: MemoryPlan,
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
