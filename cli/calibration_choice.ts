import { encodeCalibration } from "../calibrations/artifact.ts";
import type { Calibration } from "../calibrations/calibration.ts";
import { MIN_BLOCK_TOKENS } from "../calibrations/blocks.ts";
import { calibrationFacts } from "../calibrations/facts.ts";
import { requireMatch } from "../calibrations/model_identity.ts";
import { builtinText } from "../calibrations/texts/builtin.ts";
import type { AttentionMode } from "../core/attention/attention.ts";
import type { AttentionOptions, CalibrationFacts } from "../core/attention/open.ts";
import { DEFAULT_FORCED, DEFAULT_SPARSITY } from "../core/attention/budget.ts";
import type { LabelLayout } from "../core/backend.ts";
import { DsError } from "../core/errors.ts";
import { defaultLabelLayout } from "../core/labels.ts";
import { dirname } from "node:path";
import {
  cachedCalibrationPath,
  calibrateText,
  findCalibration,
  readCalibration,
} from "../runtime/calibrations.ts";
import { ensureFolder } from "../runtime/folders.ts";
import type { LoadedModel } from "../runtime/load.ts";
import { withLock, writeAtomically } from "../runtime/output.ts";
import { QUICK_TOKENS } from "./open_run.ts";
import type { SparseChoices } from "./options/model.ts";
import type { Terminal } from "./terminal.ts";

/** For another process that makes the same one. */
const LONGEST_WAIT_MS = 600_000;
const BUILTIN_NAME = "built-in text";

/** Modes that cannot run without a calibration. */
export function needsCalibration(mode: AttentionMode): boolean {
  return mode === "double-sparsity" || mode === "paper";
}

/** Why sparse decoding with a calibration made here is out of the question for a model; null where it is not. */
export function calibrationObstacle(loaded: LoadedModel): string | null {
  const { headDim, contextLength } = loaded.checkpoint.config;
  if (headDim < 8) return `its heads have ${headDim} channels and a label needs 8`;
  if (loaded.tokenizer === null) return "it has no calibration, and no tokenizer to make one with";
  if (contextLength < MIN_BLOCK_TOKENS) {
    return `it has no calibration, and its context of ${contextLength} is too short to make one`;
  }
  return null;
}

/**
 * What the modes take from a calibration: the given file's, else the one that ships with ds or is cached for the model,
 * else a quick one made now and cached. Null where no mode needs one and there is none.
 *
 * @throws {DsError} kind "calibration-mismatch", or what reading and calibrating throw
 */
export async function chooseCalibration(
  loaded: LoadedModel,
  modes: readonly AttentionMode[],
  choices: Pick<SparseChoices, "calibration" | "labels" | "evenBudgets">,
  terminal: Terminal,
): Promise<CalibrationFacts | null> {
  const calibration = await calibrationOf(loaded, modes, choices.calibration, terminal);
  if (calibration === null) return null;
  const facts = calibrationFacts(calibration, layoutOf(loaded, choices.labels));
  return choices.evenBudgets ? { ...facts, shares: null } : facts;
}

async function calibrationOf(
  loaded: LoadedModel,
  modes: readonly AttentionMode[],
  path: string | null,
  terminal: Terminal,
): Promise<Calibration | null> {
  if (path !== null) {
    const calibration = await readCalibration(path);
    requireMatch(calibration, loaded.identity, path);
    return calibration;
  }
  if (modes.every((mode) => mode === "dense" || mode === "streaming-llm")) return null;
  const found = await findCalibration(loaded.identity);
  if (found !== null) return found.calibration;
  return modes.some(needsCalibration) ? await quickCalibration(loaded, terminal) : null;
}

/** Makes one on the built-in text and keeps it, where the cache can be written. */
async function quickCalibration(loaded: LoadedModel, terminal: Terminal): Promise<Calibration> {
  const obstacle = calibrationObstacle(loaded);
  if (obstacle !== null) {
    throw new DsError(
      "usage",
      `Cannot run ${loaded.name} sparsely: ${obstacle}; give a file with --calibration, or use --attention dense`,
    );
  }
  const path = cachedCalibrationPath(loaded.identity);
  try {
    await ensureFolder(dirname(path));
    return await withLock(path, () => makeAndKeep(loaded, path, terminal), {
      waitMs: LONGEST_WAIT_MS,
      signal: terminal.signal,
    });
  } catch (error) {
    if (!(error instanceof DsError && error.kind === "cannot-create")) throw error;
    terminal.note(`The quick calibration will not be kept: ${error.message}`);
    return await makeQuick(loaded, terminal);
  }
}

async function makeAndKeep(loaded: LoadedModel, path: string, terminal: Terminal): Promise<Calibration> {
  // Another process may have made it while this one waited.
  const other = await findCalibration(loaded.identity);
  if (other !== null) return other.calibration;
  const made = await makeQuick(loaded, terminal);
  try {
    await writeAtomically(path, await encodeCalibration(made));
  } catch (error) {
    if (!(error instanceof DsError)) throw error;
    terminal.note(`The quick calibration was not kept: ${error.message}`);
  }
  return made;
}

async function makeQuick(loaded: LoadedModel, terminal: Terminal): Promise<Calibration> {
  const length = loaded.tokenizer!.encode(builtinText, { addSpecial: false }).length;
  const blockLength = Math.min(loaded.checkpoint.config.contextLength, QUICK_TOKENS, length);
  terminal.note(
    `There is no calibration of ${loaded.name} yet: a quick one is made on ${blockLength} tokens of the ${BUILTIN_NAME} ` +
      "and cached (ds calibrate makes a better one)",
  );
  const bar = terminal.progress("Calibrating", blockLength, "tokens");
  try {
    return await calibrateText(loaded, {
      text: builtinText,
      corpusName: BUILTIN_NAME,
      tokens: blockLength,
      blockLength,
      quick: true,
      onProgress: ({ done, total }) => bar.update(done, total),
      signal: terminal.signal,
    });
  } finally {
    bar.end();
  }
}

/** @throws {RangeError} the model's heads are too small for labels */
export function layoutOf({ checkpoint }: LoadedModel, choice: LabelLayout | null): LabelLayout {
  return choice ?? defaultLabelLayout(checkpoint.config.headDim);
}

/** The share of cached tokens asked for, as records tell it; 1 for dense attention, null where a number was asked for. */
export function sparsityOf(choices: SparseChoices, mode: AttentionMode): number | null {
  if (mode === "dense") return 1;
  return choices.heavyTokens === null ? choices.sparsity ?? DEFAULT_SPARSITY : null;
}

/** The options of `openAttention` that the flags ask for. */
export function attentionOptions(
  choices: SparseChoices,
  calibration: CalibrationFacts | null,
): AttentionOptions {
  const { heavyTokens, perHead, noTail, denseBelow } = choices;
  return {
    budget: heavyTokens === null
      ? { kind: "ratio", tokenSparsity: choices.sparsity ?? DEFAULT_SPARSITY }
      : { kind: "tokens", heavyTokens },
    forced: DEFAULT_FORCED,
    perHead,
    tail: !noTail,
    denseBelow: denseBelow ?? 0,
    calibration,
  };
}
