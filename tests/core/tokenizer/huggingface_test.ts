import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { openTokenizer } from "../../../core/tokenizer/open.ts";
import { assertRefused } from "../../support/refusals.ts";
import {
  byteLevelTokens,
  ggufByteLevel,
  hfByteLevel,
  type HuggingfaceSource,
} from "../../support/small_tokenizers.ts";

const SPLIT = {
  type: "Split",
  pattern: { Regex: String.raw`\p{N}{1,3}|\p{L}+` },
  behavior: "Isolated",
  invert: false,
};
const BYTES = { type: "ByteLevel", add_prefix_space: false, use_regex: false };

/** A SentencePiece-style tokenizer.json. */
function hfPieces(changes: Record<string, unknown> = {}): HuggingfaceSource {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const pieces = ["▁", "h", "i", "hi", "▁hi", "▁▁"];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces];
  return {
    kind: "huggingface",
    file: "tokenizer.json",
    config: { bos_token: "<s>", eos_token: "</s>", add_bos_token: true },
    tokenizer: {
      added_tokens: [0, 1, 2].map((id) => ({ id, content: tokens[id], special: true, normalized: false })),
      normalizer: {
        type: "Sequence",
        normalizers: [{ type: "Prepend", prepend: "▁" }, {
          type: "Replace",
          pattern: { String: " " },
          content: "▁",
        }],
      },
      pre_tokenizer: null,
      post_processor: {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      },
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: {
        type: "BPE",
        vocab: Object.fromEntries(tokens.map((text, id) => [text, id])),
        merges: [["h", "i"], ["▁", "hi"], ["▁", "▁"]],
        byte_fallback: true,
        fuse_unk: true,
        unk_token: "<unk>",
      },
      ...changes,
    },
  };
}

test("encode() agrees with the library when a tokenizer.json is within what both read alike", () => {
  const texts = fc.string({
    unit: fc.constantFrom(..."hello world 1234 '.,-\n\té東", "<|end|>", "😀"),
    maxLength: 40,
  });
  const sources = [
    hfByteLevel(),
    hfByteLevel({
      pre_tokenizer: { type: "Sequence", pretokenizers: [SPLIT, BYTES] },
      normalizer: { type: "NFC" },
    }),
    hfPieces(),
  ];
  for (const source of sources) {
    const ours = openTokenizer(source);
    // deno-lint-ignore no-explicit-any
    const theirs = new Library(source.tokenizer as any, source.config as any);
    fc.assert(
      fc.property(texts, (text) => {
        assert.deepEqual(ours.encode(text, { parseSpecial: true }), theirs.encode(text).ids);
      }),
      { numRuns: 300, seed: 6 },
    );
  }
});

test("openTokenizer() reads the same vocabulary alike when it comes as GGUF or tokenizer.json", () => {
  const ours = openTokenizer(hfByteLevel());
  const other = openTokenizer(ggufByteLevel());
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      assert.deepEqual(ours.encode(text), other.encode(text));
      assert.equal(ours.decode(ours.encode(text)), text.toWellFormed());
    }),
    { numRuns: 200, seed: 7 },
  );
  assert.equal(ours.vocabSize, other.vocabSize);
  assert.deepEqual([ours.bosToken, ours.eosTokenIds], [other.bosToken, other.eosTokenIds]);
});

test("encode() follows Metaspace when the pre-tokenizer spells spaces", () => {
  const split = (changes: Record<string, unknown>) =>
    openTokenizer(hfPieces({ normalizer: null, pre_tokenizer: { type: "Metaspace", ...changes } }));
  const ids = (tokenizer: ReturnType<typeof split>, text: string) =>
    tokenizer.encode(text, { parseSpecial: true });
  const [space, , , hi, spaceHi, spaces] = [259, 260, 261, 262, 263, 264];
  assert.deepEqual(ids(split({ prepend_scheme: "first" }), "hi<s>hi"), [1, spaceHi, 1, hi]);
  assert.deepEqual(ids(split({ prepend_scheme: "always" }), "hi<s>hi"), [1, spaceHi, 1, spaceHi]);
  assert.deepEqual(ids(split({ prepend_scheme: "never" }), "hi  hi"), [1, hi, space, spaceHi]);
  assert.deepEqual(ids(split({ prepend_scheme: "never", split: false }), "  hi"), [1, space, spaceHi]);
  assert.deepEqual(ids(split({ prepend_scheme: "never", split: false }), "  "), [1, spaces]);
});

test("encode() follows add_bos_token when tokenizer_config.json says so", () => {
  const pieces = hfPieces();
  const config = (changes: Record<string, unknown>) => ({
    ...pieces,
    config: { ...pieces.config as object, ...changes },
  });
  assert.deepEqual(openTokenizer(config({ add_bos_token: false })).encode(""), []);
  assert.deepEqual(openTokenizer(config({ add_bos_token: true })).encode(""), [1]);
  assert.deepEqual(openTokenizer({ ...hfPieces({ post_processor: null }) }).encode(""), [1]);
  assert.deepEqual(openTokenizer({ ...pieces, config: null }).bosTokenId, null);
});

test("openTokenizer() refuses tokenizer.json when it is malformed or unknown", async () => {
  const tokens = byteLevelTokens();
  const vocab = Object.fromEntries(tokens.slice(0, -2).map((text, id) => [text, id]));
  const model = (changes: Record<string, unknown>) =>
    hfByteLevel({ model: { type: "BPE", vocab, merges: [], ...changes } });
  const added = (changes: Record<string, unknown>) =>
    hfByteLevel({ added_tokens: [{ id: 5000, content: "<x>", special: true, ...changes }] });
  let deep: unknown = BYTES;
  for (let i = 0; i < 3000; i++) deep = { type: "Sequence", pretokenizers: [deep] };
  const rule = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated" });
  const cases: [HuggingfaceSource, RegExp][] = [
    [{ ...hfByteLevel(), tokenizer: [] }, /tokenizer\.json: it must be an object/],
    [{ ...hfByteLevel(), config: 5 }, /tokenizer_config\.json must be an object/],
    [{ ...hfByteLevel(), config: { bos_token: "<nope>" } }, /bos_token.*"<nope>"/],
    [{ ...hfByteLevel(), config: { eos_token: 3 } }, /eos_token.*must be text: found 3/],
    [hfByteLevel({ model: undefined }), /its model must be an object: found nothing/],
    [model({ type: "Unigram" }), /must be BPE.*"Unigram"/],
    [model({ vocab: { a: -1 } }), /token "a" must be an integer.*-1/],
    [model({ vocab: { a: 4e9 } }), /token "a" must be an integer/],
    [model({ vocab: { a: "0" } }), /token "a" must be an integer.*"0"/],
    [model({ vocab: { a: 0.5 } }), /token "a" must be an integer/],
    [model({ vocab: { a: 1, b: 1 } }), /token id 1 must stand for one text: found "a" and "b"/],
    [model({ vocab: { a: 500_000 } }), /token "a" must be an integer from 0/],
    [model({ vocab: {} }), /1 to \d+ tokens: found 0/],
    [model({ vocab: ["a"] }), /its vocab must be an object/],
    [model({ merges: undefined }), /merges must be a list/],
    [model({ merges: ["h"] }), /merge 0 must be two tokens/],
    [model({ merges: [["h", "e", "l"]] }), /merge 0 must be two tokens/],
    [model({ merges: [["h", 1]] }), /merge 0 must be two tokens/],
    [model({ merges: [["q", "q"]] }), /merge 0 needs the token "qq"/],
    [model({ dropout: 0.1 }), /dropout must be 0/],
    [model({ end_of_word_suffix: "</w>" }), /end_of_word_suffix must be empty/],
    [model({ unk_token: "<nope>" }), /unk_token must be a token/],
    [model({ byte_fallback: "yes" }), /byte_fallback must be true or false/],
    [added({ id: -3 }), /added token "<x>" must be an integer/],
    [added({ content: 7 }), /content must be text/],
    [added({ id: 0 }), /token id 0 must stand for one text/],
    [hfByteLevel({ added_tokens: {} }), /added_tokens must be a list/],
    [hfByteLevel({ added_tokens: [null] }), /added token 0 must be an object/],
    [hfByteLevel({ pre_tokenizer: deep }), /at most 64 steps, 8 deep/],
    [
      hfByteLevel({ pre_tokenizer: { type: "Sequence", pretokenizers: Array(100).fill(BYTES) } }),
      /at most 64 steps/,
    ],
    [hfByteLevel({ pre_tokenizer: { type: "Magic" } }), /pre_tokenizer that ds does not know: "Magic"/],
    [hfByteLevel({ pre_tokenizer: rule("(") }), /rule "\(" is unusable/],
    [hfByteLevel({ pre_tokenizer: rule("(a)\\1") }), /unsupported escape/],
    [hfByteLevel({ pre_tokenizer: { ...SPLIT, behavior: "Odd" } }), /behavior must be one of/],
    [hfByteLevel({ pre_tokenizer: { ...SPLIT, pattern: 3 } }), /pattern must be a Regex or a String/],
    [hfByteLevel({ normalizer: { type: "Precompiled" } }), /normalizer that ds does not know: "Precompiled"/],
    [
      hfByteLevel({ normalizer: { type: "Replace", pattern: { String: "" }, content: "x" } }),
      /pattern must be not empty/,
    ],
    [hfByteLevel({ decoder: null }), /no decoder/],
    [hfByteLevel({ decoder: { type: "CTC" } }), /decoder that ds does not know: "CTC"/],
    [hfByteLevel({ post_processor: { type: "BertProcessing" } }), /post_processor that ds does not know/],
    [
      hfByteLevel({
        post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "<x>" } }] },
      }),
      /not in the vocabulary/,
    ],
    [
      hfByteLevel({ post_processor: { type: "TemplateProcessing", single: [] } }),
      /leaves the text itself out/,
    ],
  ];
  for (const [source, message] of cases) {
    await assertRefused(() => Promise.resolve().then(() => openTokenizer(source)), "bad-data", message);
  }
});

test("encode() stops when a rule or a normalizer of the file runs away", async () => {
  const grow = { type: "Replace", pattern: { String: "a" }, content: "aaaaaaaaaa" };
  const sources = [
    hfByteLevel({ pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated" } }),
    hfByteLevel({ normalizer: { type: "Sequence", normalizers: Array(60).fill(grow) } }),
  ];
  for (const source of sources) {
    const tokenizer = openTokenizer(source);
    const encode = () => Promise.resolve().then(() => tokenizer.encode("a".repeat(200) + "!"));
    await assertRefused(encode, "bad-data", /Cannot encode text with the tokenizer of tokenizer\.json/);
  }
});

test("openTokenizer() keeps to the file's own keys when tokens have the names of object members", () => {
  const vocab = JSON.parse('{"__proto__":0,"constructor":1,"a":2}');
  const source = hfByteLevel({ added_tokens: [], model: { type: "BPE", vocab, merges: [] } });
  const tokenizer = openTokenizer({ ...source, config: null });
  assert.deepEqual([tokenizer.vocabSize, tokenizer.decode([0, 1, 2])], [3, "__proto__constructora"]);
});
