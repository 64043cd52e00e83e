import type { Attention } from "./attention/attention.ts";
import { DenseAttention } from "./attention/dense.ts";
import type { Tensor } from "./backend.ts";
import { DsError } from "./errors.ts";
import { generate, type GeneratedPiece, type GenerateOptions, type GenerateResult } from "./generate.ts";
import { KvCache, type LabelPlan } from "./kv_cache.ts";
import { type Model, privateRows } from "./model.ts";
import { type PrefillOptions, Session, takeLogits } from "./session.ts";
import { downloadInts, tensorOf } from "./tensor_io.ts";

export interface PromptOptions extends PrefillOptions {
  /** Tokens to make room for behind the prompt. */
  readonly maxTokens: number;
  /** Most tokens, prompt and continuation together. */
  readonly context: number;
  readonly labels: LabelPlan | null;
  readonly kvDtype: "f32" | "f16" | "bf16";
}

/** Private rows of one agreement pass. */
const AGREEMENT_ROWS = 32;

/** A prompt prefilled once, from which any number of continuations can be decoded, each with its own attention. */
export class PromptedModel {
  readonly promptTokenIds: readonly number[];
  /** Milliseconds of the prefill. */
  readonly prefillMs: number;
  private readonly session: Session;
  private readonly logits: Float32Array;

  private constructor(
    session: Session,
    promptTokenIds: readonly number[],
    logits: Float32Array,
    prefillMs: number,
  ) {
    this.session = session;
    this.promptTokenIds = promptTokenIds;
    this.logits = logits;
    this.prefillMs = prefillMs;
  }

  /** @throws {DsError} kind "usage" where the prompt is empty or longer than the context, with both counts */
  static async prefill(
    model: Model,
    promptTokenIds: readonly number[],
    options: PromptOptions,
  ): Promise<PromptedModel> {
    const { backend, config } = model;
    const length = promptTokenIds.length;
    if (length === 0) {
      throw new DsError("usage", "Cannot run an empty prompt: give at least one token of text");
    }
    if (length >= options.context) {
      throw new DsError(
        "usage",
        `Cannot run a prompt of ${length} tokens: the context of ${options.context} must hold it and one token more; ` +
          "shorten the prompt or raise --context",
      );
    }
    const foreign = promptTokenIds.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocabSize));
    if (foreign !== undefined) {
      throw new DsError(
        "usage",
        `Cannot run token id ${foreign}: the model's ids are 0 to ${config.vocabSize - 1}`,
      );
    }
    const context = Math.min(options.context, length + options.maxTokens);
    const cache = KvCache.alloc(backend, config, {
      slots: 1,
      capacity: context + AGREEMENT_ROWS,
      dtype: options.kvDtype,
      labels: options.labels,
    });
    try {
      const session = new Session(model, cache, context);
      const started = performance.now();
      const logits = await takeLogits(model, await session.prefill(promptTokenIds, options));
      return new PromptedModel(session, promptTokenIds, logits, performance.now() - started);
    } catch (error) {
      cache.free();
      throw error;
    }
  }

  /** Places of the cache, private rows included: what attention is opened for. */
  get capacity(): number {
    return this.session.cache.capacity;
  }

  /** Decodes from the end of the prompt, forgetting any earlier continuation. */
  async *continue(
    options: Omit<GenerateOptions, "promptTokenIds">,
  ): AsyncGenerator<GeneratedPiece, GenerateResult> {
    const { session, promptTokenIds } = this;
    session.truncate(promptTokenIds.length);
    options.attention.truncate(promptTokenIds.length);
    const logits = tensorOf(session.model.backend, this.logits, [1, this.logits.length]);
    return yield* generate(session, logits, { ...options, promptTokenIds });
  }

  /**
   * How often `attention` would have chosen dense attention's likeliest token, along a continuation just decoded densely: each
   * of its tokens is one step against the dense K and V before it.
   */
  async agreement(attention: Attention, tokenIds: readonly number[]): Promise<number | null> {
    const { model, cache, context } = this.session;
    const first = this.promptTokenIds.length;
    const count = Math.min(tokenIds.length - 1, this.session.length - first);
    if (count < 1) return null;
    const dense = new DenseAttention(model.backend, model.config);
    attention.truncate(first);
    let agreed = 0;
    for (let done = 0; done < count; done += AGREEMENT_ROWS) {
      const ids = tokenIds.slice(done, Math.min(done + AGREEMENT_ROWS, count));
      const rows = privateRows(ids, ids.map((_, i) => first + done + i), context);
      const choose = async (kind: Attention) => {
        const logitRows = Int32Array.from(ids, (_, i) => i);
        return await likeliest(model, (await model.forward(cache, rows, kind, { logitRows }))!, ids.length);
      };
      const [theirs, ours] = [await choose(dense), await choose(attention)];
      for (let i = 0; i < ids.length; i++) if (theirs[i] === ours[i]) agreed++;
    }
    return agreed / count;
  }

  free(): void {
    this.session.cache.free();
  }
}

async function likeliest({ backend }: Model, logits: Tensor, rows: number): Promise<Int32Array> {
  const token = backend.alloc({ dtype: "i32", shape: [rows] });
  backend.argmax(token, logits);
  const ids = await downloadInts(backend, token);
  backend.free(token);
  backend.free(logits);
  return ids;
}
