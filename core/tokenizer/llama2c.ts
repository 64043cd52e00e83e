import { badData } from "../errors.ts";
import type { TokenizerSource } from "../formats/checkpoint.ts";
import type { AddedToken } from "./added_tokens.ts";
import { Bpe, ScoredMerges } from "./bpe.ts";
import { Pipeline } from "./pipeline.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { MAX_TOKENS } from "./vocabulary.ts";

type Llama2cSource = Extract<TokenizerSource, { kind: "llama2c" }>;

const UNKNOWN_ID = 0;
const BOS_ID = 1;
const EOS_ID = 2;
/** The 256 byte tokens follow the three special ones. */
const FIRST_BYTE_ID = 3;
const FIRST_PIECE_ID = FIRST_BYTE_ID + 256;
const HEADER_BYTES = 4;
const TOKEN_HEADER_BYTES = 8;
const UTF8 = new TextEncoder();
const SPECIAL_TEXTS = ["<unk>", "<s>", "</s>"];

/**
 * The tokenizer of llama2.c: int32 maxTokenLength, then per token f32 score, int32 length, that many bytes of UTF-8.
 *
 * @throws {DsError} kind "bad-data"
 */
export function llama2cTokenizer(source: Llama2cSource): Tokenizer {
  const { file, vocabSize } = source;
  if (!(Number.isSafeInteger(vocabSize) && vocabSize >= FIRST_PIECE_ID && vocabSize <= MAX_TOKENS)) {
    throw badData(
      file,
      `a llama2.c vocabulary must have ${FIRST_PIECE_ID} to ${MAX_TOKENS} tokens: the model has ${vocabSize}`,
    );
  }
  const { texts, scores } = readTokens(source);
  const ids = new Map<string, number>();
  for (let id = vocabSize - 1; id >= FIRST_PIECE_ID; id--) ids.set(texts[id]!, id);
  const added = SPECIAL_TEXTS.map((text, id): AddedToken => ({
    text,
    id,
    isSpecial: true,
    isWord: false,
    stripsLeft: false,
    stripsRight: false,
  }));
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => FIRST_BYTE_ID + byte);
  const bytesOf = (id: number): Uint8Array => {
    if (id < FIRST_BYTE_ID) return UTF8.encode(SPECIAL_TEXTS[id]!);
    return id < FIRST_PIECE_ID ? Uint8Array.of(id - FIRST_BYTE_ID) : UTF8.encode(texts[id]!);
  };
  return new Pipeline({
    file,
    vocabSize,
    bytesOf,
    bosTokenId: BOS_ID,
    eosTokenId: EOS_ID,
    added,
    addedNormalised: [],
    normalise: (text) => ` ${text}`,
    split: (piece) => [piece],
    bpe: new Bpe(
      ids,
      new ScoredMerges(texts, ids, scores),
      { bytes: byteIds, unknown: UNKNOWN_ID, fuseUnknown: false },
      false,
    ),
    prefix: [BOS_ID],
    suffix: [],
    putsSpace: true,
  });
}

function readTokens({ bytes, vocabSize, file }: Llama2cSource): { texts: string[]; scores: Float32Array } {
  const needed = HEADER_BYTES + vocabSize * TOKEN_HEADER_BYTES;
  if (bytes.length < needed) {
    throw badData(
      file,
      `a vocabulary of ${vocabSize} tokens takes at least ${needed} bytes: it has ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const longest = view.getInt32(0, true);
  const texts: string[] = [];
  const scores = new Float32Array(vocabSize);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let at = HEADER_BYTES;
  for (let id = 0; id < vocabSize; id++) {
    if (at + TOKEN_HEADER_BYTES > bytes.length) {
      throw badData(file, `it ends within token ${id} of ${vocabSize}: is it the tokenizer of this model?`);
    }
    const score = view.getFloat32(at, true);
    const length = view.getInt32(at + 4, true);
    at += TOKEN_HEADER_BYTES;
    if (Number.isNaN(score)) throw badData(file, `the score of token ${id} is not a number`);
    if (length < 0 || length > longest || at + length > bytes.length) {
      throw badData(
        file,
        `token ${id} must have 0 to ${longest} bytes and end within the file: its length is ${length}`,
      );
    }
    try {
      texts.push(utf8.decode(bytes.subarray(at, at + length)));
    } catch {
      throw badData(file, `token ${id} is not valid UTF-8`);
    }
    scores[id] = score;
    at += length;
  }
  if (at !== bytes.length) {
    throw badData(
      file,
      `its first ${vocabSize} tokens end at byte ${at} of ${bytes.length}: it is the tokenizer of another model`,
    );
  }
  return { texts, scores };
}
