import assert from "node:assert/strict";
import { test } from "node:test";
import { GPT2_RULE, NAMED_SPLITS } from "../../../core/tokenizer/split_rules.ts";
import { splitByRule, splitByText, splitSteps } from "../../../core/tokenizer/splitting.ts";

function byName(name: string, text: string): readonly string[] {
  return splitSteps(NAMED_SPLITS.get(name)!.rules.map((rule) => splitByRule(rule)))(text, true);
}

test("splitBy() follows each behaviour when matches lie between text", () => {
  const text = "--a-b--";
  const by = (behaviour: Parameters<typeof splitByText>[1], invert = false) =>
    splitByText("-", behaviour, invert)(text, true);
  assert.deepEqual(by("Isolated"), ["-", "-", "a", "-", "b", "-", "-"]);
  assert.deepEqual(by("Removed"), ["a", "b"]);
  assert.deepEqual(by("Removed", true), ["-", "-", "-", "-", "-"]);
  assert.deepEqual(by("MergedWithPrevious"), ["-", "-", "a-", "b-", "-"]);
  assert.deepEqual(by("MergedWithNext"), ["-", "-a", "-b", "-", "-"]);
  assert.deepEqual(by("Contiguous"), ["--", "a", "-", "b", "--"]);
  assert.deepEqual(splitByText("", "Isolated", false)("ab", true), ["ab"]);
});

test("the named rules split as their models need when text mixes words, numbers and space", () => {
  const text = "I'll pay  $1234.5\n\n  NOW're";
  assert.deepEqual(splitByRule(GPT2_RULE)(text, true), [
    "I",
    "'ll",
    " pay",
    " ",
    " $",
    "1234",
    ".",
    "5",
    "\n\n ",
    " NOW",
    "'re",
  ]);
  assert.deepEqual(byName("smollm", text), [
    "I",
    "'ll",
    " pay",
    " ",
    " $",
    "1",
    "2",
    "3",
    "4",
    ".",
    "5",
    "\n\n ",
    " NOW",
    "'re",
  ]);
  assert.deepEqual(byName("llama-bpe", "I'LL pay  $1234.5\n\n  NOW"), [
    "I",
    "'LL",
    " pay",
    " ",
    " $",
    "123",
    "4",
    ".",
    "5",
    "\n\n",
    " ",
    " NOW",
  ]);
  assert.deepEqual(byName("qwen2", "a12\r\n b"), ["a", "1", "2", "\r\n", " b"]);
  assert.deepEqual(byName("tekken", "fooBar/\n12"), ["foo", "Bar", "/\n", "1", "2"]);
  assert.deepEqual(byName("default", "a+b 12345"), ["a", "+", "b", " ", "123", "45"]);
});

test("splitting loses nothing when pieces are joined again", () => {
  const text = "a \u0085\ufeff'Sé\u0301 ½東京\u{1f600}\u200d\r\n\t  \ud83d x ";
  for (const name of NAMED_SPLITS.keys()) assert.equal(byName(name, text).join(""), text, name);
});
