import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddedToken, AddedTokens } from "../../../core/tokenizer/added_tokens.ts";

const added = (text: string, id: number, changes: Partial<AddedToken> = {}): AddedToken => ({
  text,
  id,
  isSpecial: true,
  isWord: false,
  stripsLeft: false,
  stripsRight: false,
  ...changes,
});

const shown = (tokens: AddedTokens, text: string, parseSpecial = true) =>
  tokens.split(text, parseSpecial).map((one) => "id" in one ? one.id : one.text);

test("AddedTokens.split() takes the longest token when several begin together", () => {
  const tokens = new AddedTokens([added("<a", 1), added("<a>", 2), added("<a><b>", 3), added("", 4)]);
  assert.deepEqual(shown(tokens, "x<a><b>y<a><a"), ["x", 3, "y", 2, 1]);
  assert.deepEqual(shown(tokens, "<a><b"), [2, "<b"]);
  assert.deepEqual(shown(tokens, ""), []);
});

test("AddedTokens.split() leaves special tokens in the text when they are not parsed", () => {
  const tokens = new AddedTokens([added("<s>", 1), added("<tool>", 2, { isSpecial: false })]);
  assert.deepEqual(shown(tokens, "a<s>b<tool>c", false), ["a<s>b", 2, "c"]);
});

test("AddedTokens.split() swallows white space and respects words when a token says so", () => {
  const tokens = new AddedTokens([
    added("<m>", 1, { stripsLeft: true, stripsRight: true }),
    added("ab", 2, { isWord: true }),
  ]);
  assert.deepEqual(shown(tokens, "x \u2003<m>\n\t y"), ["x", 1, "y"]);
  assert.deepEqual(shown(tokens, " <m> <m> "), [1, 1]);
  assert.deepEqual(shown(tokens, "ab cab abc (ab) \u{20000}ab"), [2, " cab abc (", 2, ") \u{20000}ab"]);
});

test("AddedTokens.split() says where its stretches begin when tokens lie between", () => {
  assert.deepEqual(new AddedTokens([added("<s>", 1)]).split("<s>a<s>b", true), [
    { id: 1 },
    { text: "a", start: 3 },
    { id: 1 },
    { text: "b", start: 7 },
  ]);
});
