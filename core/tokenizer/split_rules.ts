/** GPT-2's rule: English contractions, letters, numbers and signs, each with the space before it. */
export const GPT2_RULE = String
  .raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const LLAMA3_RULE = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const QWEN2_RULE = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const TEKKEN_RULE = String
  .raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** How a named rule of `tokenizer.ggml.pre` splits. */
export interface NamedSplit {
  readonly rules: readonly string[];
  readonly normalise: "NFC" | null;
  /** See `Bpe`. */
  readonly wholeWords: boolean;
}

const GPT2: NamedSplit = { rules: [GPT2_RULE], normalise: null, wholeWords: false };
const SINGLE_DIGITS: NamedSplit = {
  rules: [String.raw`\p{N}`, GPT2_RULE],
  normalise: null,
  wholeWords: false,
};
const LLAMA3: NamedSplit = { rules: [LLAMA3_RULE], normalise: null, wholeWords: true };
const QWEN2: NamedSplit = { rules: [QWEN2_RULE], normalise: "NFC", wholeWords: false };

/** The rule of files from before rules had names. */
const UNNAMED: NamedSplit = {
  rules: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2_RULE, String.raw`\p{N}+`, "[0-9][0-9][0-9]"],
  normalise: null,
  wholeWords: false,
};

/** By the names that GGUF files use. */
export const NAMED_SPLITS: ReadonlyMap<string, NamedSplit> = new Map([
  ["default", UNNAMED],
  ["gpt-2", GPT2],
  ["smollm", SINGLE_DIGITS],
  ["starcoder", SINGLE_DIGITS],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["qwen2", QWEN2],
  ["deepseek-r1-qwen", QWEN2],
  ["tekken", { rules: [TEKKEN_RULE], normalise: null, wholeWords: true }],
]);
