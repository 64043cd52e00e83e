import { DEFAULT_FORCED } from "./budget.ts";
import { HostSelectedAttention, type RowFacts } from "./host_selected.ts";

/** StreamingLLM (Xiao et al., arXiv 2309.17453): 4 sinks and the newest k - 4 tokens, whatever the query. */
export class StreamingLlmAttention extends HostSelectedAttention {
  readonly mode = "streaming-llm";
  protected readonly needsKeys = false;

  protected select({ position, tokens }: RowFacts, _head: number, out: Int32Array): number {
    const sinks = Math.min(DEFAULT_FORCED.sinkTokens, tokens - 1);
    for (let n = 0; n < sinks; n++) out[n] = n;
    for (let n = sinks; n < tokens; n++) out[n] = position + 1 - tokens + n;
    return tokens;
  }

  protected labelBytes(): number {
    return 0;
  }

  /** All heads read the same tokens, so a KV head's are read once. */
  protected override rowsRead(_numHeads: number, numKvHeads: number, tokens: number): number {
    return numKvHeads * tokens;
  }
}
