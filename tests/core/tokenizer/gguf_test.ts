import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openTokenizer } from "../../../core/tokenizer/open.ts";
import { assertRefused } from "../../support/refusals.ts";
import { ggufByteLevel, ggufSentencePiece, type GgufSource } from "../../support/small_tokenizers.ts";

const texts = fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.toWellFormed());

function shown(source: GgufSource, text: string): string[] {
  return openTokenizer(source).encode(text, { addSpecial: false }).map((id) => source.tokens[id]);
}

test("encode() merges by rank when the vocabulary is byte-level", () => {
  assert.deepEqual(shown(ggufByteLevel(), "hello world  1234 é"), [
    "hello",
    "Ġworld",
    "Ġ",
    "Ġ",
    "12",
    "3",
    "4",
    "Ġ",
    "Ã©",
  ]);
  assert.deepEqual(shown(ggufByteLevel({ pre: "smollm" }), "12"), ["1", "2"]);
});

test("encode() merges by score when the vocabulary is of SentencePiece's kind", () => {
  assert.deepEqual(shown(ggufSentencePiece(), "hello world\n"), [
    "▁hello",
    "▁wor",
    "l",
    "d",
    "<0x0A>",
  ]);
  assert.deepEqual(shown(ggufSentencePiece(), "東"), ["▁", "<0xE6>", "<0x9D>", "<0xB1>"]);
  assert.deepEqual(shown(ggufSentencePiece({ addSpacePrefix: false }), "hello"), ["hello"]);
});

test("decode() gives the text back when it was encoded", () => {
  for (
    const source of [ggufByteLevel(), ggufByteLevel({ pre: "llama-bpe", addBos: true }), ggufSentencePiece()]
  ) {
    const tokenizer = openTokenizer(source);
    fc.assert(
      fc.property(texts, (text) => {
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
      }),
      { numRuns: 200, seed: 4 },
    );
  }
});

test("encode() drops bytes that have no token when there is nothing to fall back on", () => {
  const full = ggufByteLevel();
  const tokens = full.tokens.map((text) => text === "z" ? "zz-gone" : text);
  const tokenizer = openTokenizer(ggufByteLevel({ tokens }));
  assert.equal(tokenizer.decode(tokenizer.encode("azb")), "ab");
});

test("encode() reads special tokens only when it is asked to", () => {
  const source = ggufByteLevel();
  const tokenizer = openTokenizer(source);
  const end = source.tokens.indexOf("<|end|>");
  assert.deepEqual(tokenizer.encode("a<|end|>", { parseSpecial: true }).at(-1), end);
  assert.ok(!tokenizer.encode("a<|end|>").includes(end));
  assert.equal(tokenizer.decode([...tokenizer.encode("a"), end]), "a");
  assert.equal(tokenizer.decode([...tokenizer.encode("a"), end], { keepSpecial: true }), "a<|end|>");
  assert.deepEqual(tokenizer.specialTokens.get("<|end|>"), end);
  assert.deepEqual([tokenizer.eosTokenIds, tokenizer.eosToken, tokenizer.bosToken], [
    [end],
    "<|end|>",
    "<|user|>",
  ]);
});

test("encode() finds user-defined tokens whatever the options when the file has some", () => {
  const source = ggufByteLevel();
  const types = source.types!.map((type) => type === 3 ? 4 : type);
  const tokenizer = openTokenizer({ ...source, types });
  assert.ok(tokenizer.encode("a<|end|>").includes(source.tokens.indexOf("<|end|>")));
  assert.equal(tokenizer.decode([source.tokens.indexOf("<|end|>")]), "<|end|>");
});

test("encode() puts BOS and EOS around the text when the file asks for them", () => {
  const source = ggufByteLevel({ addBos: true, addEos: true });
  const tokenizer = openTokenizer(source);
  assert.deepEqual(tokenizer.encode(""), [source.bosTokenId, source.eosTokenId]);
  assert.deepEqual(tokenizer.encode("", { addSpecial: false }), []);
  assert.deepEqual(openTokenizer(ggufByteLevel({ addBos: true, bosTokenId: null })).encode(""), []);
});

test("openTokenizer() refuses a GGUF vocabulary when its fields contradict each other", async () => {
  const small = ggufByteLevel();
  const pieces = ggufSentencePiece();
  const cases: [GgufSource, RegExp][] = [
    [ggufByteLevel({ pre: "no-such-rule" }), /small\.gguf.*tokenizer\.ggml\.pre.*smollm.*"no-such-rule"/],
    [ggufByteLevel({ model: "bert" }), /"gpt2" or "llama": found "bert"/],
    [ggufByteLevel({ merges: null }), /no tokenizer\.ggml\.merges/],
    [ggufByteLevel({ merges: ["h"] }), /merge 0 must be two tokens.*"h"/],
    [ggufByteLevel({ merges: ["h e x"] }), /merge 0 must be two tokens/],
    [ggufByteLevel({ merges: ["h e", "q q"] }), /merge 1 needs the token "qq"/],
    [ggufByteLevel({ tokens: [] }), /1 to \d+ tokens: found 0/],
    [ggufByteLevel({ types: small.types!.slice(1) }), /tokens but \d+ token types/],
    [ggufByteLevel({ eosTokenId: 10_000 }), /found id 10000/],
    [ggufByteLevel({ eosTokenId: -1 }), /found id -1/],
    [ggufSentencePiece({ scores: null }), /no tokenizer\.ggml\.scores/],
    [ggufSentencePiece({ scores: pieces.scores!.map(() => NaN) }), /score of token 0 is not a number/],
    [ggufSentencePiece({ types: pieces.types!.map(() => 6) }), /byte token 0 must be spelt/],
  ];
  for (const [source, message] of cases) {
    await assertRefused(() => Promise.resolve().then(() => openTokenizer(source)), "bad-data", message);
  }
});
