import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openTokenizer } from "../../../core/tokenizer/open.ts";
import {
  ggufByteLevel,
  ggufSentencePiece,
  hfByteLevel,
  llama2cSource,
} from "../../support/small_tokenizers.ts";

const SOURCES = [ggufByteLevel(), ggufSentencePiece(), hfByteLevel(), llama2cSource()];

test("stream() gives what decode() gives when any tokens are pushed", () => {
  for (const source of SOURCES) {
    const tokenizer = openTokenizer(source);
    const ids = fc.array(fc.nat(tokenizer.vocabSize + 3), { maxLength: 60 });
    fc.assert(
      fc.property(ids, fc.boolean(), (tokens, keepSpecial) => {
        const stream = tokenizer.stream({ keepSpecial });
        const pushed = tokens.map((id) => stream.push(id)).join("");
        assert.equal(pushed + stream.flush(), tokenizer.decode(tokens, { keepSpecial }));
      }),
      { numRuns: 300, seed: 5 },
    );
  }
});

test("stream() never splits a character when its bytes are tokens of their own", () => {
  for (const source of SOURCES) {
    const tokenizer = openTokenizer(source);
    const stream = tokenizer.stream();
    const text = "é東\u{1f600}\u200d";
    const pushed = tokenizer.encode(text).map((id) => stream.push(id)).filter((piece) => piece !== "");
    assert.deepEqual(pushed.join("").trimStart(), text);
    assert.ok(pushed.every((piece) => piece.isWellFormed() && !piece.includes("\ufffd")), source.kind);
    assert.equal(stream.flush(), "");
  }
});

test("flush() gives U+FFFD when a character is unfinished", () => {
  const tokenizer = openTokenizer(llama2cSource());
  const stream = tokenizer.stream();
  const bytes = [...new TextEncoder().encode("\u{1f600}")].map((byte) => byte + 3);
  assert.deepEqual(bytes.slice(0, 3).map((id) => stream.push(id)), ["", "", ""]);
  assert.equal(stream.flush(), "\ufffd");
  assert.equal(stream.flush(), "");
  assert.equal(bytes.map((id) => stream.push(id)).join(""), "\u{1f600}");
  assert.equal(tokenizer.decode([bytes[0], bytes[1], 3 + 65, bytes[3]]), "\ufffdA\ufffd");
});

test("push() refuses an id when it is no whole number from 0", () => {
  const stream = openTokenizer(llama2cSource()).stream();
  for (const id of [-1, 0.5, NaN, 2 ** 60]) assert.throws(() => stream.push(id), RangeError);
  assert.equal(stream.push(1_000_000), "");
});
