import type { Calibration } from "../calibrations/calibration.ts";
import { calibrationFacts } from "../calibrations/facts.ts";
import { requireMatch } from "../calibrations/model_identity.ts";
import type { AttentionMode } from "../core/attention/attention.ts";
import { DEFAULT_BUDGET, DEFAULT_FORCED } from "../core/attention/budget.ts";
import { labelsOf, openAttention } from "../core/attention/open.ts";
import { DsError } from "../core/errors.ts";
import type { GeneratedPiece, GenerateResult } from "../core/generate.ts";
import { defaultLabelLayout } from "../core/labels.ts";
import { PromptedModel } from "../core/prompted.ts";
import { GREEDY, type Sampling } from "../core/sampler.ts";
import type { LoadedModel } from "./load.ts";

export interface GenerateTextOptions {
  /** Default 256. */
  readonly maxTokens?: number;
  /** Default greedy. */
  readonly sampling?: Partial<Sampling>;
  readonly stop?: readonly string[];
  /** Default "dense" without a calibration, "double-sparsity" with one. */
  readonly attention?: AttentionMode;
  /** β = k/N, default 1/16. */
  readonly tokenSparsity?: number;
  readonly calibration?: Calibration;
  readonly signal?: AbortSignal;
}

/**
 * Continues a text: an async iterable of pieces as they are decoded, whose return value tells why it ended.
 *
 * @throws {DsError} kind "usage" where the prompt does not fit the context or the model has no tokenizer,
 * "calibration-mismatch" where the calibration is another model's
 */
export async function* generateText(
  loaded: LoadedModel,
  prompt: string,
  options: GenerateTextOptions = {},
): AsyncGenerator<GeneratedPiece, GenerateResult> {
  const { model, tokenizer, context, checkpoint: { config } } = loaded;
  if (tokenizer === null) {
    throw new DsError("usage", `Cannot read a prompt for ${loaded.name}: it has no tokenizer`);
  }
  if (options.calibration !== undefined) {
    requireMatch(options.calibration, loaded.identity, "given to generateText");
  }
  const facts = options.calibration === undefined
    ? null
    : calibrationFacts(options.calibration, defaultLabelLayout(config.headDim));
  const mode = options.attention ?? (facts === null ? "dense" : "double-sparsity");
  const kvDtype = model.backend.device.kvDtypes[0];
  const signal = options.signal && { signal: options.signal };
  const prompted = await PromptedModel.prefill(model, tokenizer.encode(prompt), {
    maxTokens: options.maxTokens ?? 256,
    context,
    labels: labelsOf(mode, facts),
    kvDtype,
    ...signal,
  });
  try {
    const budget = options.tokenSparsity === undefined
      ? DEFAULT_BUDGET
      : { kind: "ratio" as const, tokenSparsity: options.tokenSparsity };
    const attention = openAttention(mode, model.backend, config, {
      budget,
      forced: DEFAULT_FORCED,
      perHead: false,
      tail: true,
      denseBelow: 0,
      calibration: facts,
    }, prompted.capacity);
    try {
      return yield* prompted.continue({
        attention,
        sampling: { ...GREEDY, ...options.sampling },
        maxTokens: options.maxTokens ?? 256,
        eosTokenIds: tokenizer.eosTokenIds,
        ...(options.stop && { stop: options.stop }),
        decoder: tokenizer.stream(),
        ...signal,
      });
    } finally {
      attention.free();
    }
  } finally {
    prompted.free();
  }
}
