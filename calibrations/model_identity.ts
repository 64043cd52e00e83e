import type { ModelConfig, RopeConfig } from "../core/config.ts";
import { DsError } from "../core/errors.ts";
import type { Calibration } from "./calibration.ts";

/** The sizes that channel rankings depend on. */
export interface ModelShape {
  /** L */
  readonly numLayers: number;
  /** Hq */
  readonly numHeads: number;
  /** Hk */
  readonly numKvHeads: number;
  /** d */
  readonly headDim: number;
}

/** Which model a calibration was made for. */
export interface ModelIdentity extends ModelShape {
  /** `ModelConfig.architecture` */
  readonly family: string;
  /** `Checkpoint.fingerprint()`: SHA-256 in lower-case hex */
  readonly fingerprint: string;
  /** `describeRope()` */
  readonly rope: string;
}

/** A published channel config says nothing about its model but the shape: then all three texts are null. */
export interface UnidentifiedModel extends ModelShape {
  readonly family: null;
  readonly fingerprint: null;
  readonly rope: null;
}

export type CalibratedModel = ModelIdentity | UnidentifiedModel;

/** @param fingerprint what `Checkpoint.fingerprint()` returned */
export function modelIdentity(config: ModelConfig, fingerprint: string): ModelIdentity {
  const { numLayers, numHeads, numKvHeads, headDim } = config;
  const family = config.architecture;
  return { family, fingerprint, numLayers, numHeads, numKvHeads, headDim, rope: describeRope(config.rope) };
}

/** One text for one rotary embedding, such as "half-split base=500000 scaling=linear(factor=4)". */
export function describeRope(rope: RopeConfig): string {
  return `half-split base=${rope.base} scaling=${describeScaling(rope.scaling)}`;
}

function describeScaling(scaling: RopeConfig["scaling"]): string {
  if (scaling === null) return "none";
  switch (scaling.type) {
    case "linear":
      return `linear(factor=${scaling.factor})`;
    case "factors":
      return `factors(${scaling.factors.join(",")})`;
    case "llama3":
      return `llama3(factor=${scaling.factor},low=${scaling.lowFrequencyFactor},` +
        `high=${scaling.highFrequencyFactor},original=${scaling.originalContext})`;
    case "yarn":
      return `yarn(factor=${scaling.factor},fast=${scaling.betaFast},slow=${scaling.betaSlow},` +
        `original=${scaling.originalContext},attention=${scaling.attentionFactor},truncate=${scaling.truncate})`;
  }
}

/** One line for messages; a rope of many factors is cut. */
export function describeModel(model: CalibratedModel): string {
  const shape = `${model.numLayers} layers, ${model.numHeads} heads, ${model.numKvHeads} KV heads, ` +
    `head dim ${model.headDim}`;
  if (model.family === null) return `an unnamed model (${shape})`;
  const rope = model.rope.length > 120 ? `${model.rope.slice(0, 120)}...` : model.rope;
  return `${model.family} (${shape}, rope ${rope}, fingerprint ${model.fingerprint.slice(0, 16)})`;
}

/** Whether a calibration may serve a model: all seven facts agree, or, for an import without identity, the shape. */
export function matchesModel(calibration: Calibration, identity: ModelIdentity): boolean {
  const made = calibration.model;
  if (!sameShape(made, identity)) return false;
  if (made.family === null) return true;
  return made.family === identity.family && made.fingerprint === identity.fingerprint &&
    made.rope === identity.rope;
}

/**
 * @param source the calibration's file as the user knows it
 * @throws {DsError} kind "calibration-mismatch" where `matchesModel` says no
 */
export function requireMatch(calibration: Calibration, identity: ModelIdentity, source: string): void {
  if (matchesModel(calibration, identity)) return;
  throw new DsError(
    "calibration-mismatch",
    `Cannot use calibration ${source} as it was made for ${describeModel(calibration.model)} ` +
      `and the model is ${describeModel(identity)}: make one for this model with \`ds calibrate\``,
  );
}

/**
 * The calibration with the model it is for written in: how an import gets its identity.
 *
 * @throws {DsError} kind "calibration-mismatch" where it cannot be for that model
 */
export function bindToModel(calibration: Calibration, identity: ModelIdentity, source: string): Calibration {
  requireMatch(calibration, identity, source);
  return { ...calibration, model: identity };
}

function sameShape(a: ModelShape, b: ModelShape): boolean {
  return a.numLayers === b.numLayers && a.numHeads === b.numHeads && a.numKvHeads === b.numKvHeads &&
    a.headDim === b.headDim;
}
