import type { Attention } from "./attention/attention.ts";
import type { Tensor } from "./backend.ts";
import { Sampler, type Sampling } from "./sampler.ts";
import { type Session, takeArgmax, takeLogits } from "./session.ts";
import { StopMatcher } from "./stop.ts";
import type { StreamDecoder } from "./tokenizer/tokenizer.ts";

export type StopReason = "end-of-text" | "stop-string" | "max-tokens" | "context-full" | "aborted";

export interface GenerateOptions {
  readonly attention: Attention;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** Generation ends at any of these ids, which are not part of the text. */
  readonly eosTokenIds: readonly number[];
  readonly stop?: readonly string[];
  /** Absent: pieces have no text (a model without a tokenizer). */
  readonly decoder?: StreamDecoder;
  /** Tokens before the first, for the repeat penalty. */
  readonly promptTokenIds?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface GeneratedPiece {
  /** Null for the text that was still held back at the end. */
  readonly tokenId: number | null;
  readonly text: string;
}

export interface GenerateResult {
  /** Every id drawn, the end token included. */
  readonly tokenIds: readonly number[];
  readonly stopReason: StopReason;
  /** Milliseconds spent in decode steps, and how many there were: the first token comes from the prefill. */
  readonly decodeMs: number;
  readonly decodeSteps: number;
  /** kvLen of each decode step. */
  readonly kvLens: readonly number[];
}

/**
 * Draws tokens until something ends it; an async iterable of text pieces whose return value is the result.
 *
 * @param logits f32 [1, V] after the last prompt token, as `Session.prefill` gives them; freed here
 */
export async function* generate(
  session: Session,
  logits: Tensor,
  options: GenerateOptions,
): AsyncGenerator<GeneratedPiece, GenerateResult> {
  const { attention, decoder } = options;
  const tokenIds: number[] = [];
  const kvLens: number[] = [];
  let decodeMs = 0;
  let stopReason: StopReason = "max-tokens";
  let pending: Tensor | null = logits;
  let started: number | null = null;

  try {
    const sampler = new Sampler(options.sampling);
    const stops = new StopMatcher(options.stop ?? []);
    while (tokenIds.length < options.maxTokens) {
      const id: number = await draw(session, pending!, sampler, options.promptTokenIds ?? [], tokenIds);
      pending = null;
      // A step is done when its token is here: the draw is what waits for the device.
      if (started !== null) decodeMs += performance.now() - started;
      tokenIds.push(id);
      if (options.eosTokenIds.includes(id)) {
        stopReason = "end-of-text";
        break;
      }
      const { text, stopped } = stops.push(decoder?.push(id) ?? "");
      yield { tokenId: id, text };
      if (stopped) {
        stopReason = "stop-string";
        break;
      }
      // Lets Ctrl-C and timers through, outside the time that counts as decoding.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (options.signal?.aborted) {
        stopReason = "aborted";
        break;
      }
      if (tokenIds.length === options.maxTokens) break;
      if (session.length === session.context) {
        stopReason = "context-full";
        break;
      }
      started = performance.now();
      pending = await session.decode(id, attention);
      kvLens.push(session.length);
    }
    if (stopReason !== "stop-string") {
      const rest = stops.push(decoder?.flush() ?? "");
      const text = rest.text + (rest.stopped ? "" : stops.flush());
      if (text !== "") yield { tokenId: null, text };
    }
  } finally {
    if (pending !== null) session.model.backend.free(pending);
  }
  return { tokenIds, stopReason, decodeMs, decodeSteps: kvLens.length, kvLens };
}

async function draw(
  session: Session,
  logits: Tensor,
  sampler: Sampler,
  prompt: readonly number[],
  generated: readonly number[],
): Promise<number> {
  if (sampler.isArgmax) return await takeArgmax(session.model, logits);
  return sampler.draw(await takeLogits(session.model, logits), [...prompt, ...generated]);
}
