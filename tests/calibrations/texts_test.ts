import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinText } from "../../calibrations/texts/builtin.ts";
import { demoNovel } from "../../calibrations/texts/demo_novel.ts";
import { demoQuestion } from "../../calibrations/texts/demo_question.ts";

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").length;
const RECORD = /The access code of the ([a-z ]+) is (\d{4})[.,]/g;

test("builtinText has the length of a calibration block and no odd characters", () => {
  assert.ok(words(builtinText) > 3000 && words(builtinText) < 4000, `${words(builtinText)} words`);
  assert.match(builtinText, /^[\x20-\x7e\n]+$/);
});

test("builtinText answers every question as its records say, one code a place", () => {
  const stated = new Map<string, string>();
  const asked = new Set<string>();
  for (const line of builtinText.split("\n")) {
    const question = /^What is the access code of the ([a-z ]+)\?/.exec(line)?.[1];
    if (question !== undefined) asked.add(question);
    for (const [, place, code] of line.matchAll(RECORD)) {
      if (question === undefined) {
        assert.ok(!stated.has(place), `two records of the ${place}`);
        stated.set(place, code);
      } else {
        assert.equal(place, question);
        assert.equal(
          stated.get(place),
          code,
          `the ${place} is asked for before it is stated, or wrongly answered`,
        );
      }
    }
  }
  assert.equal(stated.size, 16);
  assert.equal(new Set(stated.values()).size, 16);
  assert.deepEqual([...asked].sort(), [...stated.keys()].sort());
});

test("demoNovel is several thousand tokens of plain prose that hold the answer to demoQuestion", () => {
  assert.ok(words(demoNovel) > 3000 && words(demoNovel) < 4000, `${words(demoNovel)} words`);
  assert.match(demoNovel, /^[\x20-\x7e\n]+$/);
  assert.match(demoNovel, /^Chapter 1\n\nIt is a truth universally acknowledged/);
  assert.ok(demoNovel.indexOf("Netherfield Park is let at last") < 1000);
  assert.ok(demoQuestion.endsWith("?"));
});
