import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Pattern, PatternError } from "../../../core/tokenizer/pattern.ts";
import { GPT2_RULE, NAMED_SPLITS } from "../../../core/tokenizer/split_rules.ts";

function matched(rule: string, text: string): string[] {
  const found = new Pattern(rule).matches(text);
  return Array.from({ length: found.length / 2 }, (_, i) => text.slice(found[2 * i], found[2 * i + 1]));
}

test("Pattern finds what the engine's RegExp finds when the dialects agree", () => {
  const rules = [
    GPT2_RULE,
    "a|ab|b+?c",
    "(?:ab)+|a{2,3}",
    "(?:a|b)*c|[^a-c]+",
    "x*(?=y)|y(?!x)",
    "(?:a*b)*?c",
    "[\\p{Lu}\\-_]+|\\p{N}{1,2}|^b|a$",
  ];
  const texts = fc.string({ unit: fc.constantFrom(..."aabbccxyXY 1 2\n\t'sé😀-_"), maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...rules), texts, (rule, text) => {
      const wanted = [...text.matchAll(new RegExp(rule, "gmu"))].map(([match]) => match);
      assert.deepEqual(matched(rule, text), wanted, rule);
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("Pattern keeps Oniguruma's classes when a rule uses shorthands", () => {
  assert.deepEqual(matched(String.raw`\s`, "\u0085\ufeff\u00a0"), ["\u0085", "\u00a0"]);
  assert.deepEqual(matched(String.raw`\d+`, "12\u0663\u00bd"), ["12\u0663"]);
  assert.deepEqual(matched("(?i:'s)", "'S 's '\u017f"), ["'S", "'s", "'\u017f"]);
  assert.deepEqual(matched("(?:a++)b|a", "aab aa"), ["aab", "a", "a"]);
  assert.deepEqual(matched("(?>a*)a|b", "aab"), ["b"]);
  assert.deepEqual(matched(String.raw`[[:alpha:]&&[^b]]+`, "abcé1"), ["a", "cé"]);
  assert.deepEqual(matched(String.raw`[]\]a-]`, "]-ab"), ["]", "-", "a"]);
  assert.deepEqual(matched(String.raw`\p{Han}|\p{^L}|\x{41}`, "東A1b"), ["東", "A", "1"]);
});

test("Pattern refuses what it cannot mean when a rule is malformed", () => {
  for (
    const rule of [
      "(",
      ")",
      "[a",
      "a**",
      "*",
      "a{3,2}",
      "a{1,9999}",
      "(?<=a)b",
      String.raw`(a)\1`,
      String.raw`\p{No Such}`,
      "[b-a]",
      "\\",
      "(?P<n>a)",
      "a".repeat(9000),
      "(".repeat(100) + ")".repeat(100),
      String.raw`\x{110000}`,
      "[".repeat(100),
      String.raw`\s`.repeat(1000),
    ]
  ) {
    assert.throws(() => new Pattern(rule), PatternError, rule);
  }
});

test("Pattern.matches() stops when a rule takes exponential time", () => {
  for (const rule of ["(a+)+$", "(?:a|a)*b", "(?:a*)*b", "a*a*a*a*a*a*b"]) {
    assert.throws(() => new Pattern(rule).matches("a".repeat(1000) + "!"), /too many steps|too deeply/, rule);
  }
});

test("Pattern.matches() stays linear when the named rules meet long runs", () => {
  for (const [name, { rules }] of NAMED_SPLITS) {
    for (const unit of [" ", "\n", "a", "1", "'", " \n", "é", "\u{20000}"]) {
      for (const rule of rules) assert.ok(new Pattern(rule).matches(unit.repeat(20_000)).length >= 0, name);
    }
  }
});
