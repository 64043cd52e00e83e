import { badData } from "../errors.ts";
import type { TokenizerSource } from "./checkpoint.ts";
import { Facts } from "./facts.ts";
import type { GgufHeader } from "./gguf_header.ts";

/** Splitting rules whose models begin with BOS though the file may not say so. */
const BOS_BY_RULE: readonly string[] = ["llama3", "llama-v3", "llama-bpe", "tekken"];

/**
 * The `tokenizer.ggml.*` fields; null where the file has no vocabulary.
 *
 * @throws {DsError} kind "bad-data"
 */
export function ggufTokenizer(header: GgufHeader, file: string): TokenizerSource | null {
  const facts = new Facts(file, (key) => header.metadata.get(key), "tokenizer.ggml.");
  const model = facts.text("model", "none");
  if (model === "none") return null;
  const tokens = texts(facts, "tokens");
  if (tokens === null) throw badData(file, "it names a tokenizer but has no tokenizer.ggml.tokens");
  const scores = facts.raw("scores") ?? null;
  if (scores !== null && !(scores instanceof Float32Array && scores.length === tokens.length)) {
    throw facts.refuse("scores", `${tokens.length} float32 values, one per token`, scores);
  }
  const types = facts.raw("token_type") ?? null;
  if (types !== null && !(types instanceof Int32Array && types.length === tokens.length)) {
    throw facts.refuse("token_type", `${tokens.length} int32 values, one per token`, types);
  }
  const wrong = types?.find((type) => type < 0 || type > 6);
  if (wrong !== undefined) throw facts.refuse("token_type", "from 0 to 6 everywhere", wrong);

  const isSentencePiece = model === "llama";
  const pre = facts.has("pre") ? facts.text("pre") : null;
  const id = (name: string, usual: number) => {
    const key = `${name}_token_id`;
    if (!facts.has(key)) return isSentencePiece && usual < tokens.length ? usual : null;
    const value = facts.integer(key);
    if (value >= tokens.length) {
      throw facts.refuse(key, `below the ${tokens.length} tokens of its vocabulary`, value);
    }
    return value;
  };
  return {
    kind: "gguf",
    model,
    pre,
    tokens,
    scores,
    types,
    merges: texts(facts, "merges"),
    bosTokenId: id("bos", 1),
    eosTokenId: id("eos", 2),
    unknownTokenId: id("unknown", 0),
    addBos: facts.flag("add_bos_token", isSentencePiece || (pre !== null && BOS_BY_RULE.includes(pre))),
    addEos: facts.flag("add_eos_token", false),
    addSpacePrefix: facts.flag("add_space_prefix", isSentencePiece),
    file,
  };
}

function texts(facts: Facts, key: string): readonly string[] | null {
  const value = facts.raw(key) ?? null;
  if (value !== null && !Array.isArray(value)) throw facts.refuse(key, "a list of text", value);
  return value;
}
