import assert from "node:assert/strict";
import { test } from "node:test";
import { openTokenizer } from "../../../core/tokenizer/open.ts";
import { assertRefused } from "../../support/refusals.ts";
import { ggufSentencePiece, llama2cSource } from "../../support/small_tokenizers.ts";

test("encode() gives BOS, the dummy space and bytes when the file is llama2.c's", () => {
  const tokenizer = openTokenizer(llama2cSource());
  assert.deepEqual(tokenizer.encode("hello"), [1, 259 + 15]);
  assert.deepEqual(tokenizer.encode("\n"), [1, 259, 3 + 10]);
  assert.deepEqual(tokenizer.encode(""), [1]);
  assert.deepEqual([tokenizer.bosToken, tokenizer.eosToken, tokenizer.eosTokenIds], ["<s>", "</s>", [2]]);
  assert.equal(tokenizer.vocabSize, 276);
});

test("encode() agrees with the same vocabulary in a GGUF file when both are opened", () => {
  const ours = openTokenizer(llama2cSource());
  const other = openTokenizer(ggufSentencePiece());
  for (
    const text of [
      "hello world",
      "  hell  lo ",
      "é東\u{1f600}",
      "<s>a</s>",
      "<0x0A>",
      "\ud800x",
      "w".repeat(5000),
    ]
  ) {
    assert.deepEqual(ours.encode(text), other.encode(text), text);
    assert.deepEqual(
      ours.encode(text, { parseSpecial: true }),
      other.encode(text, { parseSpecial: true }),
      text,
    );
    assert.equal(ours.decode(ours.encode(text)), text.toWellFormed());
  }
});

test("decode() keeps the space of a continuation when no BOS comes before", () => {
  const tokenizer = openTokenizer(llama2cSource());
  const ids = tokenizer.encode("hello");
  assert.equal(tokenizer.decode(ids), "hello");
  assert.equal(tokenizer.decode(ids.slice(1)), " hello");
  assert.equal(tokenizer.decode([1, 2, ...ids.slice(1), ...ids.slice(1)]), "hello hello");
  assert.equal(tokenizer.decode(ids, { keepSpecial: true }), "<s> hello");
});

test("openTokenizer() refuses tokenizer.bin when it is cut, corrupt or another model's", async () => {
  const good = llama2cSource();
  const patched = (offset: number, change: (view: DataView) => void) => {
    const bytes = good.bytes.slice();
    change(new DataView(bytes.buffer, offset));
    return { ...good, bytes };
  };
  const cases: [typeof good, RegExp][] = [
    [{ ...good, bytes: new Uint8Array(0) }, /takes at least \d+ bytes: it has 0/],
    [{ ...good, bytes: good.bytes.slice(0, -1) }, /its length is/],
    [{ ...good, bytes: good.bytes.slice(0, -9) }, /ends within token 275 of 276/],
    [{ ...good, vocabSize: 275 }, /tokenizer of another model/],
    [{ ...good, vocabSize: 100 }, /must have 259 to/],
    [{ ...good, vocabSize: 2 ** 31 }, /must have 259 to/],
    [patched(8, (view) => view.setInt32(0, -1, true)), /its length is -1/],
    [patched(8, (view) => view.setInt32(0, 2 ** 31 - 1, true)), /its length is 2147483647/],
    [patched(4, (view) => view.setFloat32(0, NaN, true)), /score of token 0 is not a number/],
    [patched(12, (view) => view.setUint8(0, 0xff)), /token 0 is not valid UTF-8/],
  ];
  for (const [source, message] of cases) {
    await assertRefused(() => Promise.resolve().then(() => openTokenizer(source)), "bad-data", message);
  }
});
