import type { Attention, AttentionMode } from "../core/attention/attention.ts";
import { type AttentionOptions, openAttention } from "../core/attention/open.ts";
import type { PromptedModel } from "../core/prompted.ts";
import type { LoadedModel } from "../runtime/load.ts";
import { type Continuation, type ContinueOptions, continuePrompt } from "./continuation.ts";
import { jsonLine } from "./json.ts";
import { bytesText, digits, percent } from "./numbers.ts";
import { type PromptFigures, promptFigures, ratioText, secondsText } from "./run_figures.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Dense and a sparse mode, one after the other, from one prefill. */
export interface Comparison extends PromptFigures {
  readonly dense: Side;
  readonly sparse: Side;
  /** How often the sparse mode's likeliest token is dense attention's, along the dense text; null below two tokens. */
  readonly top1Agreement: number | null;
  /** Tokens until the two first differ. */
  readonly equalTokens: number;
  readonly ttftMs: number;
}

/** All that one run alone would tell, but the prompt's ids. */
type Side = Continuation & Omit<PromptFigures, "promptTokenIds">;

export async function compare(
  loaded: LoadedModel,
  prompted: PromptedModel,
  mode: AttentionMode,
  options: AttentionOptions,
  how: ContinueOptions,
  terminal: Terminal,
): Promise<void> {
  const { backend, config } = loaded.model;
  const shared = promptFigures(loaded, prompted);
  const { promptTokenIds: _, ...each } = shared;
  const run = async (attention: Attention): Promise<Side> => {
    if (!terminal.json) terminal.out(`== ${attention.mode} ==\n`);
    return { ...await continuePrompt(loaded, prompted, attention, how, terminal), ...each };
  };
  const denseAttention = openAttention("dense", backend, config, options, prompted.capacity);
  const sparseAttention = openAttention(mode, backend, config, options, prompted.capacity);
  try {
    const dense = await run(denseAttention);
    terminal.signal.throwIfAborted();
    // Now, as it wants the dense continuation's K and V.
    const top1Agreement = await prompted.agreement(sparseAttention, dense.tokenIds);
    if (!terminal.json) terminal.out("\n");
    const sparse = await run(sparseAttention);
    const equalTokens = commonLength(dense.tokenIds, sparse.tokenIds);
    const comparison: Comparison = {
      ...shared,
      ttftMs: dense.ttftMs,
      dense,
      sparse,
      top1Agreement,
      equalTokens,
    };
    terminal.out(terminal.json ? jsonLine(comparison) : `\n${comparisonTable(comparison)}`);
  } finally {
    denseAttention.free();
    sparseAttention.free();
  }
}

/** The few figures that decide. */
export function comparisonTable({ dense, sparse, top1Agreement, equalTokens }: Comparison): string {
  const row = (
    name: string,
    of: (run: Continuation) => string,
    note = "",
  ) => [name, of(dense), of(sparse), note];
  const [before, after] = [dense.attention.kvBytesPerToken, sparse.attention.kvBytesPerToken];
  const speeds = [dense.decodeTokensPerSecond, sparse.decodeTokensPerSecond];
  const speedup = speeds[0] !== null && speeds[1] !== null ? `${digits(speeds[1]! / speeds[0]!, 3)}x` : "";
  const lines = table(["", "dense", sparse.attention.mode, ""], [
    row("tokens", ({ generatedTokens }) => String(generatedTokens)),
    row("first token", ({ ttftMs }) => secondsText(ttftMs)),
    row(
      "tokens/s",
      (run) => run.decodeTokensPerSecond === null ? "-" : digits(run.decodeTokensPerSecond, 3),
      speedup,
    ),
    row(
      "KV read per token",
      ({ attention }) => attention.kvBytesPerToken === null ? "-" : bytesText(attention.kvBytesPerToken),
      before !== null && after !== null ? ratioText(before, after) : "",
    ),
  ]);
  const same = equalTokens === dense.tokenIds.length && equalTokens === sparse.tokenIds.length;
  const agreement = top1Agreement === null ? "" : `top-1 agreement with dense: ${percent(top1Agreement)}; `;
  return `${lines}${agreement}${
    same ? "the texts are equal" : `the texts are equal for ${equalTokens} tokens`
  }\n`;
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
