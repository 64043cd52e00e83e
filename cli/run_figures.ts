import type { PromptedModel } from "../core/prompted.ts";
import type { LoadedModel } from "../runtime/load.ts";
import type { Continuation } from "./continuation.ts";
import { bytesText, digits, grouped } from "./numbers.ts";

/** What all continuations of a prompt share. */
export interface PromptFigures {
  readonly model: string;
  readonly backend: string;
  readonly device: string;
  readonly promptTokenIds: readonly number[];
  readonly promptTokens: number;
  readonly prefillTokensPerSecond: number;
}

export function promptFigures(loaded: LoadedModel, prompted: PromptedModel): PromptFigures {
  const { promptTokenIds, prefillMs } = prompted;
  const { backend } = loaded.model;
  return {
    model: loaded.name,
    backend: backend.name,
    device: backend.device.name,
    promptTokenIds,
    promptTokens: promptTokenIds.length,
    prefillTokensPerSecond: (promptTokenIds.length * 1000) / Math.max(prefillMs, 1e-3),
  };
}

/** The line below a text: `30 + 64 tokens · first after 0.41 s · 25.1 tokens/s · KV read per token …`. */
export function figuresLine(run: Continuation & Pick<PromptFigures, "promptTokens">): string {
  const { attention, decodeTokensPerSecond, generatedTokens, promptTokens, stopReason, ttftMs } = run;
  const parts = [
    `${grouped(promptTokens)} + ${grouped(generatedTokens)} tokens (${stopReason})`,
    `first after ${secondsText(ttftMs)}`,
  ];
  if (decodeTokensPerSecond !== null) parts.push(`${digits(decodeTokensPerSecond, 3)} tokens/s`);
  const { kvBytesPerToken, denseKvBytesPerToken, mode } = attention;
  if (kvBytesPerToken !== null && denseKvBytesPerToken !== null) {
    const read = `KV read per token ${bytesText(kvBytesPerToken)}`;
    parts.push(
      mode === "dense"
        ? `${read} (dense)`
        : `${read} of ${bytesText(denseKvBytesPerToken)} dense (${
          ratioText(denseKvBytesPerToken, kvBytesPerToken)
        })`,
    );
  }
  return parts.join(" · ");
}

/** "3.2x less", or more: at short contexts the labels and the tail cost more than they save. */
export function ratioText(dense: number, sparse: number): string {
  if (dense === sparse) return "the same";
  return dense >= sparse ? `${digits(dense / sparse, 3)}x less` : `${digits(sparse / dense, 3)}x more`;
}

export function secondsText(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${digits(milliseconds / 1000, 3)} s`;
}
