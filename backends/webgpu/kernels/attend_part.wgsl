// What a workgroup found of a head's attention over its share of the tokens. D4 + 1 fours: a header, then
// Σ exp(logit - maximum)·V.
//   header of a head: maximum, Σ exp(logit - maximum), and for the tail Σ logit and Σ score of the tokens that were not forced
//   header of a set, whose parts follow those of all heads, its ΣV plain: tokens, tokens not forced
// The rest is written only where a head's second number, or a set's first, is not 0.
const D4 = D / 4u;
const PART = D4 + 1u;

// Below every logit, and far from where its product with log2(e) overflows.
const LOWEST = -1e30;
