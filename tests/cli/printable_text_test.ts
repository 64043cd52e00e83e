import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonLine } from "../../cli/json.ts";
import { printable, PrintableText } from "../../cli/printable_text.ts";

const HOSTILE = "a\x1b[31mred\x1b[0m b\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d \x9b2Je\r\x08\x7f\u202ef\tg\n";

test("printable() keeps text, tabs and newlines and drops what a terminal obeys", () => {
  assert.equal(printable(HOSTILE), "ared bcd ef\tg\n");
  assert.equal(printable("naïve 日本 🦊\n"), "naïve 日本 🦊\n");
});

test("PrintableText.push() never lets an escape through when text is split anywhere", () => {
  for (let size = 1; size < 6; size++) {
    const filter = new PrintableText();
    let shown = "";
    for (let at = 0; at < HOSTILE.length; at += size) shown += filter.push(HOSTILE.slice(at, at + size));
    shown += filter.flush();
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(shown, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/, String(size));
    assert.ok(shown.startsWith("ared b"), shown);
    assert.ok(shown.endsWith("f\tg\n"), shown);
  }
});

test("PrintableText.push() shows the text again when an escape sequence never ends", () => {
  const filter = new PrintableText();
  let shown = filter.push("\x1b]0;");
  for (let i = 0; i < 40; i++) shown += filter.push("ten chars ");
  assert.ok((shown + filter.flush()).includes("ten chars ten chars"));
});

test("jsonLine() escapes what a terminal obeys and gives the same value back", () => {
  const value = { text: HOSTILE, shares: new Float32Array([0.5, 1]) };
  const line = jsonLine(value);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(line.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u202e]/);
  assert.deepEqual(JSON.parse(line), { text: HOSTILE, shares: [0.5, 1] });
});
