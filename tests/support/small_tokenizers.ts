import type { TokenizerSource } from "../../core/formats/checkpoint.ts";
import { spell } from "../../core/tokenizer/byte_level.ts";
import { byteTokenText } from "../../core/tokenizer/vocabulary.ts";
import { llama2cTokenizer } from "./llama2c_file.ts";

export type GgufSource = Extract<TokenizerSource, { kind: "gguf" }>;
export type HuggingfaceSource = Extract<TokenizerSource, { kind: "huggingface" }>;

/** Words that the small vocabularies can merge, each given with the merges that make it. */
const MERGES = [
  "h e",
  "l l",
  "he ll",
  "hell o",
  "\u0120 w",
  "o r",
  "\u0120w or",
  "\u0120wor l",
  "\u0120worl d",
  "\u0120 \u0120",
  "1 2",
  "\u00c3 \u00a9",
];

const SPECIAL = ["<|end|>", "<|user|>"];

/** One character of every length and with every lead byte that UTF-8 has. */
const CHARACTERS = [
  ...Array.from({ length: 0x800 }, (_, codePoint) => codePoint),
  ...Array.from({ length: 16 }, (_, lead) => (lead << 12) | (lead === 0 ? 0x800 : 0x2bf)),
  ...[0x10000, 0x40000, 0x80000, 0xc0000, 0x100000],
];

/** The bytes of UTF-8, what the merges make of them, then two control tokens. */
export function byteLevelTokens(): string[] {
  const bytes = CHARACTERS.flatMap((codePoint) => [...spell(String.fromCodePoint(codePoint))]);
  return [...new Set([...bytes, ...MERGES.map((merge) => merge.replace(" ", ""))]), ...SPECIAL];
}

export function ggufByteLevel(changes: Partial<GgufSource> = {}): GgufSource {
  const tokens = byteLevelTokens();
  return {
    kind: "gguf",
    model: "gpt2",
    pre: "gpt-2",
    tokens,
    scores: null,
    types: Int32Array.from(tokens, (text) => SPECIAL.includes(text) ? 3 : 1),
    merges: MERGES,
    bosTokenId: tokens.indexOf("<|user|>"),
    eosTokenId: tokens.indexOf("<|end|>"),
    unknownTokenId: null,
    addBos: false,
    addEos: false,
    addSpacePrefix: false,
    file: "small.gguf",
    ...changes,
  };
}

/** The same vocabulary as a tokenizer.json. */
export function hfByteLevel(changes: Record<string, unknown> = {}): HuggingfaceSource {
  const tokens = byteLevelTokens();
  const plain = tokens.filter((text) => !SPECIAL.includes(text));
  return {
    kind: "huggingface",
    file: "tokenizer.json",
    config: { bos_token: "<|user|>", eos_token: { content: "<|end|>" } },
    tokenizer: {
      version: "1.0",
      added_tokens: SPECIAL.map((content) => ({
        id: tokens.indexOf(content),
        content,
        special: true,
        normalized: false,
      })),
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      post_processor: { type: "ByteLevel" },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: Object.fromEntries(plain.map((text, id) => [text, id])), merges: MERGES },
      ...changes,
    },
  };
}

const PIECES = [
  " ",
  "h",
  "e",
  "l",
  "o",
  "w",
  "r",
  "d",
  "he",
  "ll",
  "hell",
  "hello",
  " w",
  "or",
  " wor",
  " hello",
  "é",
];
const PIECE_SCORES = [-17, -18, -19, -20, -21, -22, -23, -24, 0, -1, -2, -3, -4, -5, -6, -7, -25];
const HEAD = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, byte) => byteTokenText(byte))];

export function llama2cSource(): Extract<TokenizerSource, { kind: "llama2c" }> {
  const texts = [...HEAD, ...PIECES];
  return {
    kind: "llama2c",
    bytes: llama2cTokenizer(texts, [...HEAD.map(() => 0), ...PIECE_SCORES]),
    vocabSize: texts.length,
    file: "tokenizer.bin",
  };
}

export function ggufSentencePiece(changes: Partial<GgufSource> = {}): GgufSource {
  const tokens = [...HEAD, ...PIECES.map((piece) => piece.replaceAll(" ", "\u2581"))];
  return {
    ...ggufByteLevel(),
    model: "llama",
    pre: "default",
    tokens,
    scores: Float32Array.of(...HEAD.map(() => 0), ...PIECE_SCORES),
    types: Int32Array.from(tokens, (_, id) => id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1),
    merges: null,
    bosTokenId: 1,
    eosTokenId: 2,
    unknownTokenId: 0,
    addBos: true,
    addSpacePrefix: true,
    ...changes,
  };
}
