import type { Attention } from "../core/attention/attention.ts";
import type { GenerateResult } from "../core/generate.ts";
import type { PromptedModel } from "../core/prompted.ts";
import type { Sampling } from "../core/sampler.ts";
import { runTraffic } from "../core/traffic.ts";
import type { LoadedModel } from "../runtime/load.ts";
import { sparsityOf } from "./calibration_choice.ts";
import type { RunOptions } from "./options/run.ts";
import { PrintableText } from "./printable_text.ts";
import type { Terminal } from "./terminal.ts";

/** What one continuation of a prompt came to, as `ds run --json` tells it. */
export interface Continuation {
  /** Null for a model without a tokenizer. */
  readonly text: string | null;
  /** Every id drawn, an end token included. */
  readonly tokenIds: readonly number[];
  readonly generatedTokens: number;
  readonly stopReason: GenerateResult["stopReason"];
  /** From the start of the prefill to the first token. */
  readonly ttftMs: number;
  /** Null where one token or none was generated: the first comes from the prefill. */
  readonly decodeTokensPerSecond: number | null;
  readonly attention: AttentionFigures;
}

/** Means over the decode steps; null where there was none. */
export interface AttentionFigures {
  readonly mode: string;
  /** Share of the cached tokens that was asked for; null where a number of tokens was. */
  readonly sparsity: number | null;
  readonly heavyTokens: number | null;
  /** Bytes of K, V and labels read per token. */
  readonly kvBytesPerToken: number | null;
  readonly denseKvBytesPerToken: number | null;
  readonly denseFallbackSteps: number;
}

export interface ContinueOptions {
  readonly run: RunOptions;
  readonly kvDtype: "f32" | "f16" | "bf16";
  readonly sampling: Sampling;
}

/** Decodes once from the prompt, showing the text as it comes unless JSON is wanted. */
export async function continuePrompt(
  loaded: LoadedModel,
  prompted: PromptedModel,
  attention: Attention,
  { run, kvDtype, sampling }: ContinueOptions,
  terminal: Terminal,
): Promise<Continuation> {
  const { tokenizer, checkpoint: { config } } = loaded;
  const shown = new Shown(terminal);
  const started = performance.now();
  let ttftMs: number | null = null;
  let text = "";
  const pieces = prompted.continue({
    attention,
    sampling,
    maxTokens: run.maxTokens,
    eosTokenIds: [...new Set([...tokenizer?.eosTokenIds ?? [], ...config.eosTokenIds])],
    stop: run.stop,
    ...(tokenizer !== null && { decoder: tokenizer.stream() }),
    signal: terminal.signal,
  });
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) {
    ttftMs ??= prompted.prefillMs + performance.now() - started;
    const piece = tokenizer === null ? `${text === "" ? "" : " "}${next.value.tokenId}` : next.value.text;
    text += piece;
    shown.push(piece);
  }
  shown.end();
  const { tokenIds, stopReason, decodeMs, decodeSteps, kvLens } = next.value;
  const traffic = runTraffic(attention, config, kvDtype, kvLens);
  return {
    text: tokenizer === null ? null : text,
    tokenIds,
    generatedTokens: tokenIds.length,
    stopReason,
    ttftMs: ttftMs ?? prompted.prefillMs + performance.now() - started,
    decodeTokensPerSecond: decodeSteps > 0 && decodeMs > 0 ? (decodeSteps * 1000) / decodeMs : null,
    attention: {
      mode: attention.mode,
      sparsity: sparsityOf(run, attention.mode),
      heavyTokens: traffic?.heavyTokens ?? null,
      kvBytesPerToken: traffic?.kvBytesPerToken ?? null,
      denseKvBytesPerToken: traffic?.denseKvBytesPerToken ?? null,
      denseFallbackSteps: traffic?.denseFallbackSteps ?? 0,
    },
  };
}

/** Text as stdout gets it: nothing a terminal would obey, and a line end at the end. */
class Shown {
  private readonly terminal: Terminal;
  private readonly filter: PrintableText | null;
  private last = "";

  constructor(terminal: Terminal) {
    this.terminal = terminal;
    this.filter = terminal.stdoutIsTty ? new PrintableText() : null;
  }

  push(piece: string): void {
    this.write(this.filter === null ? piece : this.filter.push(piece));
  }

  end(): void {
    this.write(this.filter?.flush() ?? "");
    if (!this.last.endsWith("\n")) this.write("\n");
  }

  private write(text: string): void {
    if (text === "" || this.terminal.json) return;
    this.terminal.out(text);
    this.last = text;
  }
}
