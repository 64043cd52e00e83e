import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DsError } from "../../../core/errors.ts";
import { own, parseJsonObject } from "../../../core/formats/strict_json.ts";

const LIMITS = { bytes: 1e6, entries: 1000 };

function parse(text: string, limits = LIMITS) {
  return parseJsonObject(new TextEncoder().encode(text), "x.json", limits);
}

function refuses(text: string, message: RegExp): void {
  assert.throws(
    () => parse(text),
    (error) => error instanceof DsError && error.kind === "bad-data" && message.test(error.message),
  );
}

test("parseJsonObject() gives what JSON.parse gives", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (value) => {
    const text = JSON.stringify(value);
    assert.deepEqual(parse(text, { bytes: 1e6, entries: 1e5 }), JSON.parse(text));
  }));
});

test("parseJsonObject() refuses a key that comes twice, also when escaped", () => {
  refuses('{"a": 1, "b": {}, "a": 2}', /"a" twice/);
  refuses('{"a": 1, "\\u0061": 2}', /"a" twice/);
  refuses('{"x": [{"k": 1}, {"k": 1, "k": 1}]}', /"k" twice/);
  assert.deepEqual(parse('{"a": {"a": "a"}, "b": ["a", "a"]}'), { a: { a: "a" }, b: ["a", "a"] });
});

test("parseJsonObject() refuses text that is not a JSON object", () => {
  for (
    const text of [
      "",
      "[]",
      "1",
      "null",
      "{",
      '{"a": NaN}',
      '{"a": 1}}',
      '{"a": "\\x"}',
      "{'a': 1}",
      '{"a',
      '{"\\',
    ]
  ) {
    assert.throws(() => parse(text), DsError, text);
  }
});

test("parseJsonObject() refuses bytes that are not UTF-8", () => {
  assert.throws(
    () => parseJsonObject(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), "x.json", LIMITS),
    (error) => error instanceof DsError && /UTF-8/.test(error.message),
  );
});

test("parseJsonObject() refuses deep nesting, many entries and large files without parsing them", () => {
  refuses(`{"a":${"[".repeat(1e5)}`, /nested deeper/);
  refuses(`{"a":${'{"a":'.repeat(1e5)}`, /nested deeper/);
  refuses(`{"a":[${"0,".repeat(5000)}0]}`, /more than 1000 entries/);
  refuses(`{"a":"${"x".repeat(1e6)}"}`, /at most 1000000 bytes/);
});

test("own() does not reach what objects inherit", () => {
  const object = parse('{"__proto__": {"polluted": true}, "constructor": 3}');
  assert.equal(own(object, "toString"), undefined);
  assert.equal(own(object, "constructor"), 3);
  assert.deepEqual(own(object, "__proto__"), { polluted: true });
  assert.equal(own({}, "polluted"), undefined);
});
