import type { Backend, ForcedTokens } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { DsError } from "../errors.ts";
import type { LabelPlan } from "../kv_cache.ts";
import type { Attention, AttentionMode } from "./attention.ts";
import type { Budget } from "./budget.ts";
import { DenseAttention } from "./dense.ts";
import { DoubleSparsityAttention, type SparseOptions } from "./double_sparsity.ts";
import { OracleAttention } from "./oracle.ts";
import { PaperAttention } from "./paper.ts";
import { StreamingLlmAttention } from "./streaming_llm.ts";

/** What a calibration contributes to decoding. */
export interface CalibrationFacts {
  /** For `double-sparsity`. */
  readonly labels: LabelPlan | null;
  /** f32 [L, Hk], mean 1; null: even. */
  readonly shares: Float32Array | null;
  readonly denseLayers: readonly number[];
  /** u8 [L, Hq, d], for `paper`. */
  readonly queryHeadRanking: Uint8Array | null;
}

export interface AttentionOptions {
  readonly budget: Budget;
  readonly forced: ForcedTokens;
  readonly perHead: boolean;
  readonly tail: boolean;
  readonly denseBelow: number;
  readonly calibration: CalibrationFacts | null;
}

/**
 * The attention of a mode, for slots of `capacity` tokens.
 *
 * @throws {DsError} kind "missing-input" where the mode needs what no calibration gave
 */
export function openAttention(
  mode: AttentionMode,
  backend: Backend,
  config: ModelConfig,
  options: AttentionOptions,
  capacity: number,
): Attention {
  const { budget, calibration } = options;
  switch (mode) {
    case "dense":
      return new DenseAttention(backend, config);
    case "double-sparsity": {
      const labels = needed(calibration?.labels, mode, "key means, deviations and a ranking");
      return new DoubleSparsityAttention(backend, config, sparse(options, labels), capacity);
    }
    case "oracle": {
      const labels = labelsOf(mode, calibration);
      // The tail's mean V comes from sums that are kept beside labels: without labels there is none.
      const tail = options.tail && labels !== null;
      return new OracleAttention(backend, config, sparse({ ...options, tail }, labels), capacity);
    }
    case "paper": {
      const ranking = needed(calibration?.queryHeadRanking, mode, "a ranking per query head");
      return new PaperAttention(backend, config, budget, capacity, ranking);
    }
    case "streaming-llm":
      return new StreamingLlmAttention(backend, config, budget, capacity);
  }
}

/** The labels a mode's cache must carry: `oracle` scores none, but its tail needs what stands beside them; else null. */
export function labelsOf(mode: AttentionMode, calibration: CalibrationFacts | null): LabelPlan | null {
  return mode === "double-sparsity" || mode === "oracle" ? calibration?.labels ?? null : null;
}

function sparse(options: AttentionOptions, labels: LabelPlan | null): SparseOptions {
  const { calibration, ...rest } = options;
  return {
    ...rest,
    layout: labels?.layout ?? { wide: 0, narrow: 0 },
    shares: calibration?.shares ?? null,
    denseLayers: calibration?.denseLayers ?? [],
  };
}

function needed<T>(value: T | null | undefined, mode: AttentionMode, what: string): T {
  if (value !== null && value !== undefined) return value;
  throw new DsError(
    "missing-input",
    `Cannot run --attention ${mode}: it needs ${what} from a calibration of this model; make one with ds calibrate`,
  );
}
