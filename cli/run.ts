import type { AttentionMode } from "../core/attention/attention.ts";
import { type AttentionOptions, labelsOf, openAttention } from "../core/attention/open.ts";
import { DsError } from "../core/errors.ts";
import { PromptedModel } from "../core/prompted.ts";
import type { Sampling } from "../core/sampler.ts";
import type { LoadedModel } from "../runtime/load.ts";
import {
  attentionOptions,
  calibrationObstacle,
  chooseCalibration,
  needsCalibration,
} from "./calibration_choice.ts";
import type { CommandTerminal } from "./command_terminal.ts";
import { compare } from "./compare.ts";
import { continuePrompt } from "./continuation.ts";
import { notInThisVersion } from "./input.ts";
import { jsonLine } from "./json.ts";
import { kvDtypeOf, withModel } from "./open_run.ts";
import type { RunOptions } from "./options/run.ts";
import { type PromptSource, promptTokens, readPrompt } from "./prompt.ts";
import { figuresLine, promptFigures } from "./run_figures.ts";
import type { Terminal } from "./terminal.ts";
import { findCalibration } from "../runtime/calibrations.ts";

/** `ds run`: generates text from a prompt. */
export async function runCommand(options: RunOptions, terminal: CommandTerminal): Promise<void> {
  if (options.offload) {
    throw notInThisVersion(
      "--offload",
      "leave it out and K and V stay on the device, or use a shorter --context",
    );
  }
  if (options.compare && options.attention === "dense") {
    throw new DsError("usage", "Cannot compare dense with dense: give --compare a sparse --attention");
  }
  if (options.stop.includes("")) {
    throw new DsError("usage", "Cannot stop at an empty text: give --stop some text");
  }
  const source = await readPrompt(options, terminal);
  await withModel(options, terminal, (loaded) => runLoaded(loaded, source, options, terminal));
}

async function runLoaded(
  loaded: LoadedModel,
  source: PromptSource,
  options: RunOptions,
  terminal: Terminal,
): Promise<void> {
  const ids = await promptTokens(source, loaded, options);
  checkLength(loaded, ids.length);
  const mode = await chooseMode(loaded, ids.length, options, terminal);
  const calibration = await chooseCalibration(loaded, [mode], options, terminal);
  const attention = attentionOptions(
    { ...options, denseBelow: options.denseBelow ?? (leavesAttentionToUs(options) ? WORTH_TOKENS : 0) },
    calibration,
  );
  const prompted = await prefill(loaded, ids, mode, attention, options, terminal);
  try {
    const kvDtype = kvDtypeOf(loaded.model.backend, options.kvDtype);
    const how = { run: options, kvDtype, sampling: samplingOf(options) };
    if (options.compare) return await compare(loaded, prompted, mode, attention, how, terminal);
    const opened = openAttention(
      mode,
      loaded.model.backend,
      loaded.model.config,
      attention,
      prompted.capacity,
    );
    try {
      const done = await continuePrompt(loaded, prompted, opened, how, terminal);
      const all = { ...done, ...promptFigures(loaded, prompted) };
      if (terminal.json) terminal.out(jsonLine(all));
      else terminal.note(figuresLine(all));
    } finally {
      opened.free();
    }
  } finally {
    prompted.free();
  }
}

/** Below this many tokens there is little to save: forced tokens, labels and tail are most of what a step reads. */
const WORTH_TOKENS = 512;

function leavesAttentionToUs(options: RunOptions): boolean {
  const { attention, calibration, sparsity, heavyTokens, labels, perHead, noTail, compare } = options;
  const said = [attention, calibration, sparsity, heavyTokens, labels].some((choice) => choice !== null);
  return !said && !perHead && !noTail && !compare;
}

function checkLength(loaded: LoadedModel, length: number): void {
  const { context, name, checkpoint: { config } } = loaded;
  if (length < context) return;
  const advice = context < config.contextLength
    ? `raise --context (${name} was made for ${config.contextLength}) or shorten the prompt`
    : "shorten the prompt or use a model of longer context";
  throw new DsError(
    "usage",
    `Cannot run a prompt of ${length} tokens: the context of ${context} must hold it and one token more; ${advice}`,
  );
}

/**
 * The mode asked for; else double sparsity, or dense where all of it is too short to save anything, or, said so, where the model cannot be
 * calibrated here.
 */
async function chooseMode(
  loaded: LoadedModel,
  promptTokens: number,
  options: RunOptions,
  terminal: Terminal,
): Promise<AttentionMode> {
  const mode = options.attention ?? "double-sparsity";
  const below = options.denseBelow ?? WORTH_TOKENS;
  if (leavesAttentionToUs(options) && promptTokens + options.maxTokens <= below) return "dense";
  if (
    options.attention !== null || options.calibration !== null || options.compare || !needsCalibration(mode)
  ) {
    return mode;
  }
  const obstacle = calibrationObstacle(loaded);
  if (obstacle === null || await findCalibration(loaded.identity) !== null) return mode;
  terminal.note(`${loaded.name} runs with dense attention: ${obstacle}`);
  return "dense";
}

async function prefill(
  loaded: LoadedModel,
  ids: readonly number[],
  mode: AttentionMode,
  attention: AttentionOptions,
  options: RunOptions,
  terminal: Terminal,
): Promise<PromptedModel> {
  const bar = terminal.progress("Reading the prompt", ids.length, "tokens");
  try {
    return await PromptedModel.prefill(loaded.model, ids, {
      maxTokens: options.maxTokens,
      context: loaded.context,
      labels: labelsOf(mode, attention.calibration),
      kvDtype: kvDtypeOf(loaded.model.backend, options.kvDtype),
      onProgress: (done) => bar.update(done),
      signal: terminal.signal,
    });
  } finally {
    bar.end();
  }
}

function samplingOf({ temperature, topK, topP, minP, repeatPenalty, seed }: RunOptions): Sampling {
  return { temperature, topK, topP, minP, repeatPenalty, seed };
}
