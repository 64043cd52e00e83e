import { badData } from "../errors.ts";
import type { TokenizerSource } from "../formats/checkpoint.ts";
import { Facts } from "../formats/facts.ts";
import { describe, quote } from "../quote.ts";
import { isObject, type JsonObject, own } from "../formats/strict_json.ts";
import type { AddedToken } from "./added_tokens.ts";
import { Bpe } from "./bpe.ts";
import { hfDecoding } from "./huggingface_decoder.ts";
import { hfNormaliser, hfSplit } from "./huggingface_steps.ts";
import { hfSurroundings } from "./huggingface_template.ts";
import { Pipeline } from "./pipeline.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { byteTokens, MAX_TOKENS, readMerges, tokenId } from "./vocabulary.ts";

type HuggingfaceSource = Extract<TokenizerSource, { kind: "huggingface" }>;

/** Ids may leave gaps, but not many: the list by id must stay in proportion to the file. */
const MAX_GAPS = 65_536;
const MAX_TOKEN_LENGTH = 16_384;

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json (byte pairs only) with the names of BOS and EOS from
 * tokenizer_config.json.
 *
 * @throws {DsError} kind "bad-data" where something is malformed, too large, or of a kind ds does not know
 */
export function huggingfaceTokenizer(source: HuggingfaceSource): Tokenizer {
  const { file } = source;
  const root = object(source.tokenizer, "it", file);
  const config = source.config === null ? {} : object(source.config, "its tokenizer_config.json", file);
  const model = object(own(root, "model"), "its model", file);
  const facts = new Facts(file, (key) => own(model, key), "");
  const type = facts.text("type", "BPE");
  if (type !== "BPE") {
    throw badData(file, `its model must be BPE, the kind of every family ds runs: found ${quote(type)}`);
  }
  const ids = readVocabulary(object(own(model, "vocab"), "its vocab", file), file);
  const stated = readAdded(own(root, "added_tokens") ?? [], file);
  const limit = ids.size + stated.length + MAX_GAPS;
  for (const [text, id] of ids) tokenId(id, limit, `token ${quote(text)}`, file);
  const texts = textsById(ids, stated, limit, file);

  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (facts.text(key, "") !== "") throw facts.refuse(key, "empty", facts.raw(key));
  }
  if (facts.has("dropout") && facts.real("dropout") !== 0) {
    throw facts.refuse("dropout", "0", facts.raw("dropout"));
  }
  const unknownText = facts.has("unk_token") ? facts.text("unk_token") : null;
  const unknown = unknownText === null ? null : ids.get(unknownText) ?? null;
  if (unknownText !== null && unknown === null) {
    throw facts.refuse("unk_token", "a token of its vocab", unknownText);
  }
  const merges = own(model, "merges");
  if (!Array.isArray(merges)) throw facts.refuse("merges", "a list", merges);
  const table = readMerges(merges, ids, file);

  const verbatim = new Set(stated.filter(({ token }) => token.isSpecial).map(({ token }) => token.text));
  const made = verbatim.size === 0 ? ids : new Map([...ids].filter(([text]) => !verbatim.has(text)));
  const normalise = hfNormaliser(own(root, "normalizer"), file);
  const decoding = hfDecoding(own(root, "decoder"), file);
  const idOf = (text: string): number | null =>
    stated.find(({ token }) => token.text === text)?.token.id ?? ids.get(text) ?? null;
  const bosTokenId = namedToken(config, "bos_token", idOf, file);
  const eosTokenId = namedToken(config, "eos_token", idOf, file);
  const surroundings = hfSurroundings(own(root, "post_processor"), idOf, file);
  const addBos = own(config, "add_bos_token");
  const prefix = addBos === false
    ? surroundings.prefix.filter((id) => id !== bosTokenId)
    : addBos === true && bosTokenId !== null && !surroundings.prefix.includes(bosTokenId)
    ? [bosTokenId, ...surroundings.prefix]
    : surroundings.prefix;

  const normalises = ({ normalised }: StatedToken): boolean => normalised && normalise !== null;
  return new Pipeline({
    file,
    vocabSize: texts.length,
    bytesOf: (id) => texts[id] === null ? null : decoding.bytesOf(texts[id]!),
    bosTokenId,
    eosTokenId,
    added: stated.filter((one) => !normalises(one)).map(({ token }) => token),
    addedNormalised: stated.filter(normalises).map(({ token }) => ({
      ...token,
      text: normalise!(token.text),
    })),
    normalise,
    split: hfSplit(own(root, "pre_tokenizer"), file),
    bpe: new Bpe(made, table, {
      bytes: facts.flag("byte_fallback", false) ? byteTokens(ids) : null,
      unknown,
      fuseUnknown: facts.flag("fuse_unk", false),
    }, facts.flag("ignore_merges", false)),
    prefix,
    suffix: surroundings.suffix,
    putsSpace: decoding.dropsSpace,
  });
}

interface StatedToken {
  readonly token: AddedToken;
  /** Found in the text after normalisation. */
  readonly normalised: boolean;
}

function object(value: unknown, what: string, file: string): JsonObject {
  if (isObject(value)) return value;
  throw badData(file, `${what} must be an object: found ${describe(value)}`);
}

function readVocabulary(vocab: JsonObject, file: string): ReadonlyMap<string, number> {
  const entries = Object.entries(vocab);
  if (entries.length === 0 || entries.length > MAX_TOKENS) {
    throw badData(file, `its vocab must have 1 to ${MAX_TOKENS} tokens: found ${entries.length}`);
  }
  const limit = MAX_TOKENS + MAX_GAPS;
  return new Map(entries.map(([text, id]) => {
    if (text.length > MAX_TOKEN_LENGTH) {
      throw badData(file, `a token has ${text.length} characters, more than ${MAX_TOKEN_LENGTH}`);
    }
    return [text, tokenId(id, limit, `token ${quote(text)}`, file)];
  }));
}

function readAdded(added: unknown, file: string): StatedToken[] {
  if (!Array.isArray(added) || added.length > MAX_TOKENS) {
    throw badData(file, `its added_tokens must be a list: found ${describe(added)}`);
  }
  return added.map((one: unknown, index): StatedToken => {
    const facts = new Facts(
      file,
      (key) => own(object(one, `added token ${index}`, file), key),
    );
    const text = facts.text("content");
    if (text.length > MAX_TOKEN_LENGTH) {
      throw badData(
        file,
        `added token ${index} has ${text.length} characters, more than ${MAX_TOKEN_LENGTH}`,
      );
    }
    const isSpecial = facts.flag("special", false);
    return {
      token: {
        text,
        id: tokenId(facts.raw("id"), MAX_TOKENS + MAX_GAPS, `added token ${quote(text)}`, file),
        isSpecial,
        isWord: facts.flag("single_word", false),
        stripsLeft: facts.flag("lstrip", false),
        stripsRight: facts.flag("rstrip", false),
      },
      normalised: facts.flag("normalized", !isSpecial),
    };
  });
}

/** The text of every id, null for gaps; an id may only be stated twice with the same text. */
function textsById(
  ids: ReadonlyMap<string, number>,
  stated: readonly StatedToken[],
  limit: number,
  file: string,
): readonly (string | null)[] {
  const texts: (string | null)[] = [];
  const place = (text: string, id: number): void => {
    tokenId(id, limit, `token ${quote(text)}`, file);
    while (texts.length <= id) texts.push(null);
    const other = texts[id] ?? null;
    if (other !== null && other !== text) {
      throw badData(file, `token id ${id} must stand for one text: found ${quote(other)} and ${quote(text)}`);
    }
    texts[id] = text;
  };
  for (const [text, id] of ids) place(text, id);
  for (const { token } of stated) place(token.text, token.id);
  return texts;
}

/** The id of a token that tokenizer_config.json names, as text or as {content}. */
function namedToken(
  config: JsonObject,
  key: string,
  idOf: (text: string) => number | null,
  file: string,
): number | null {
  const given = own(config, key) ?? null;
  const text = isObject(given) ? own(given, "content") : given;
  if (text === null) return null;
  if (typeof text !== "string") {
    throw badData(file, `the ${key} of its tokenizer_config.json must be text: found ${describe(text)}`);
  }
  const id = idOf(text);
  if (id !== null) return id;
  throw badData(
    file,
    `the ${key} of its tokenizer_config.json must be in the vocabulary: found ${quote(text)}`,
  );
}
