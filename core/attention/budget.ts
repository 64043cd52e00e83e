import type { ForcedTokens } from "../backend.ts";

/** How many tokens a step reads, before it is shared out over the KV heads. */
export type Budget =
  /** β = k/N */
  | { readonly kind: "ratio"; readonly tokenSparsity: number }
  /** k */
  | { readonly kind: "tokens"; readonly heavyTokens: number };

/** β where nothing else is asked for: the paper's. */
export const DEFAULT_SPARSITY = 1 / 16;
export const DEFAULT_BUDGET: Budget = { kind: "ratio", tokenSparsity: DEFAULT_SPARSITY };
export const DEFAULT_FORCED: ForcedTokens = { sinkTokens: 4, recentTokens: 16 };

/** β·N, or the fixed number. */
export function meanTokens(budget: Budget, kvLen: number): number {
  return budget.kind === "ratio" ? budget.tokenSparsity * kvLen : budget.heavyTokens;
}

/**
 * k of one KV head at one step: F + share · max(mean - F, 4), rounded up, at most kvLen. F counts the forced tokens;
 * only what is free beside them is shared out, since scaling the whole would starve retrieval (METHOD.md).
 *
 * @param share the head's part of the budget; mean 1 over the model
 */
export function headTokens(budget: Budget, forced: ForcedTokens, share: number, kvLen: number): number {
  const fixed = Math.min(forced.sinkTokens + forced.recentTokens + 1, kvLen);
  const free = Math.max(meanTokens(budget, kvLen) - fixed, 4);
  // 1/10 of 200 tokens is 20, whatever binary fractions make of it.
  return Math.min(Math.ceil(fixed + share * free - 1e-9), kvLen);
}

/** k where nothing is forced or shared out: the same for every head, at least 1. */
export function plainTokens(budget: Budget, kvLen: number): number {
  return Math.min(Math.max(Math.ceil(meanTokens(budget, kvLen) - 1e-9), 1), kvLen);
}
