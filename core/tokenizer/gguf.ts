import { badData } from "../errors.ts";
import type { TokenizerSource } from "../formats/checkpoint.ts";
import { quote } from "../quote.ts";
import type { AddedToken } from "./added_tokens.ts";
import { Bpe, ScoredMerges } from "./bpe.ts";
import { unspell } from "./byte_level.ts";
import { Pipeline, type TokenizerParts } from "./pipeline.ts";
import { NAMED_SPLITS } from "./split_rules.ts";
import { spellPieces, splitByRule, splitSteps } from "./splitting.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { byteOf, byteTokens, MAX_TOKENS, readMerges } from "./vocabulary.ts";

type GgufSource = Extract<TokenizerSource, { kind: "gguf" }>;

const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;
const BYTE = 6;

/** SentencePiece's spelling of a space. */
const SPACE_MARK = "\u2581";

const UTF8 = new TextEncoder();

/**
 * The tokenizer of a GGUF file: byte-level ("gpt2") or SentencePiece style ("llama").
 *
 * @throws {DsError} kind "bad-data" where the fields contradict each other, or the model or split rule is unknown
 */
export function ggufTokenizer(source: GgufSource): Tokenizer {
  const { file, tokens, types, scores } = source;
  if (tokens.length === 0 || tokens.length > MAX_TOKENS) {
    throw badData(file, `its vocabulary must have 1 to ${MAX_TOKENS} tokens: found ${tokens.length}`);
  }
  for (const [name, list] of [["types", types], ["scores", scores]] as const) {
    if (list !== null && list.length !== tokens.length) {
      throw badData(file, `it has ${tokens.length} tokens but ${list.length} token ${name}`);
    }
  }
  for (const id of [source.bosTokenId, source.eosTokenId, source.unknownTokenId]) {
    if (id !== null && !(Number.isSafeInteger(id) && id >= 0 && id < tokens.length)) {
      throw badData(
        file,
        `its special tokens must lie in the vocabulary of ${tokens.length}: found id ${id}`,
      );
    }
  }
  if (source.model === "gpt2") return new Pipeline(byteLevelParts(source));
  if (source.model === "llama") return new Pipeline(sentencePieceParts(source));
  throw badData(file, `its tokenizer model must be "gpt2" or "llama": found ${quote(source.model)}`);
}

function isSpecial(source: GgufSource, id: number): boolean {
  const type = source.types?.[id];
  if (type !== undefined) return type === CONTROL || type === UNKNOWN;
  return id === source.bosTokenId || id === source.eosTokenId || id === source.unknownTokenId;
}

/** Whether the token is written as its text stands, and found in the text as a whole. */
function isVerbatim(source: GgufSource, id: number): boolean {
  return isSpecial(source, id) || source.types?.[id] === USER_DEFINED;
}

function commonParts(source: GgufSource): Pick<
  TokenizerParts,
  "file" | "bosTokenId" | "eosTokenId" | "added" | "addedNormalised" | "prefix" | "suffix"
> {
  const { bosTokenId, eosTokenId, addBos, addEos } = source;
  const added: AddedToken[] = [];
  source.tokens.forEach((text, id) => {
    if (!isVerbatim(source, id)) return;
    added.push({
      text,
      id,
      isSpecial: isSpecial(source, id),
      isWord: false,
      stripsLeft: false,
      stripsRight: false,
    });
  });
  return {
    file: source.file,
    bosTokenId,
    eosTokenId,
    added,
    addedNormalised: [],
    prefix: addBos && bosTokenId !== null ? [bosTokenId] : [],
    suffix: addEos && eosTokenId !== null ? [eosTokenId] : [],
  };
}

/** Ids by text, of the tokens that `isMade` allows. */
function idsByText(source: GgufSource, isMade: (id: number) => boolean): Map<string, number> {
  const ids = new Map<string, number>();
  source.tokens.forEach((text, id) => {
    if (isMade(id)) ids.set(text, id);
  });
  return ids;
}

function byteLevelParts(source: GgufSource): TokenizerParts {
  const { file, tokens, merges } = source;
  const named = NAMED_SPLITS.get(source.pre ?? "default");
  if (named === undefined) {
    throw badData(
      file,
      `its split rule (tokenizer.ggml.pre) must be one of ${[...NAMED_SPLITS.keys()].join(", ")}: found ${
        quote(source.pre ?? "")
      }`,
    );
  }
  if (merges === null) throw badData(file, "its byte-level vocabulary has no tokenizer.ggml.merges");
  const ids = idsByText(source, (id) => !isSpecial(source, id));
  const normalise = named.normalise;
  return {
    ...commonParts(source),
    vocabSize: tokens.length,
    bytesOf: (id) => isVerbatim(source, id) ? UTF8.encode(tokens[id]!) : unspell(tokens[id]!),
    normalise: normalise === null ? null : (text) => text.normalize(normalise),
    split: splitSteps([...named.rules.map((rule) => splitByRule(rule)), spellPieces]),
    bpe: new Bpe(
      ids,
      readMerges(merges, ids, file),
      { bytes: null, unknown: null, fuseUnknown: false },
      named.wholeWords,
    ),
    putsSpace: false,
  };
}

function sentencePieceParts(source: GgufSource): TokenizerParts {
  const { file, tokens, types, scores } = source;
  if (scores === null) throw badData(file, "its SentencePiece vocabulary has no tokenizer.ggml.scores");
  const wrong = scores.findIndex(Number.isNaN);
  if (wrong >= 0) throw badData(file, `the score of token ${wrong} is not a number`);
  const isByte = (id: number): boolean => types === null ? byteOf(tokens[id]!) !== null : types[id] === BYTE;
  tokens.forEach((text, id) => {
    if (isByte(id) && byteOf(text) === null) {
      throw badData(file, `byte token ${id} must be spelt like "<0x0A>": found ${quote(text)}`);
    }
  });
  const bytesOf = (id: number): Uint8Array => {
    const text = tokens[id]!;
    if (isByte(id)) return Uint8Array.of(byteOf(text)!);
    return UTF8.encode(isVerbatim(source, id) ? text : text.replaceAll(SPACE_MARK, " "));
  };
  const ids = idsByText(source, (id) => !isSpecial(source, id) && !isByte(id) && types?.[id] !== UNUSED);
  const prefix = source.addSpacePrefix ? SPACE_MARK : "";
  return {
    ...commonParts(source),
    vocabSize: tokens.length,
    bytesOf,
    normalise: (text) => prefix + text.replaceAll(" ", SPACE_MARK),
    split: (piece) => [piece],
    bpe: new Bpe(
      ids,
      new ScoredMerges(tokens, ids, scores),
      { bytes: byteTokens(idsByText(source, isByte)), unknown: source.unknownTokenId, fuseUnknown: false },
      false,
    ),
    putsSpace: source.addSpacePrefix,
  };
}
