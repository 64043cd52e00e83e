/**
 * ds: long-context LLM decoding that reads a sixteenth of the KV cache (Double Sparsity, arXiv 2408.07092).
 *
 * The tiny model inside needs no network; `smollm2-135m` is fetched by `ds pull smollm2-135m`.
 *
 * @example
 * ```ts
 * import { generateText, loadModel, openBackend } from "./mod.ts";
 *
 * const backend = await openBackend("auto");
 * const loaded = await loadModel("stories260k", { backend });
 * let story = "";
 * for await (const piece of generateText(loaded, "Once upon a time", { maxTokens: 20 })) story += piece.text;
 * console.log(story);
 * await loaded.close();
 * await backend.close();
 * ```
 *
 * @module
 */
export { openBackend } from "./backends/mod.ts";
export { decodeCalibration, encodeCalibration } from "./calibrations/artifact.ts";
export type { Calibration } from "./calibrations/calibration.ts";
export { exportChannelConfig, importChannelConfig } from "./calibrations/channel_config.ts";
export { calibrationFacts } from "./calibrations/facts.ts";
export type { AttentionMode } from "./core/attention/attention.ts";
export { openAttention } from "./core/attention/open.ts";
export type { Backend } from "./core/backend.ts";
export { DsError, type FailureKind } from "./core/errors.ts";
export { evaluatePerplexity } from "./core/evaluation/perplexity.ts";
export { PromptedModel } from "./core/prompted.ts";
export { GREEDY, type Sampling } from "./core/sampler.ts";
export { VERSION } from "./core/version.ts";
export { calibrateText, findCalibration, readCalibration } from "./runtime/calibrations.ts";
export { generateText, type GenerateTextOptions } from "./runtime/generate_text.ts";
export { type LoadedModel, loadModel } from "./runtime/load.ts";
export { pullModel } from "./runtime/pull.ts";
