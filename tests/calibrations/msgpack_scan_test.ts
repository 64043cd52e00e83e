import assert from "node:assert/strict";
import { test } from "node:test";
import { msgpackFault } from "../../calibrations/msgpack_scan.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));
/** fixmap of pairs key → 1 */
const mapOf = (...keys: string[]) =>
  bytes(0x80 | keys.length, ...keys.flatMap((key) => [0xa0 | key.length, ...ascii(key), 1]));

test("msgpackFault() accepts one value of each allowed type", () => {
  const allowed = [
    [0x00],
    [0x7f],
    [0xff],
    [0xc0],
    [0xc2],
    [0xc3],
    [0xcc, 200],
    [0xcd, 1, 2],
    [0xce, 1, 2, 3, 4],
    [0xd0, 200],
    [0xd1, 1, 2],
    [0xd2, 1, 2, 3, 4],
    [0xca, 0, 0, 0, 0],
    [0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
    [0xa1, 97],
    [0xd9, 2, 0xc3, 0xa9],
    [0xda, 0, 1, 97],
    [0xdb, 0, 0, 0, 1, 97],
    [0xc4, 1, 255],
    [0xc5, 0, 1, 255],
    [0xc6, 0, 0, 0, 1, 255],
    [0x90],
    [0x92, 1, 0x90],
    [0xdc, 0, 1, 1],
    [0xdd, 0, 0, 0, 1, 1],
    [0x80],
    [0x81, 0xa1, 97, 0x81, 0xa1, 97, 1],
    [0xde, 0, 1, 0xa1, 97, 1],
    [0xdf, 0, 0, 0, 1, 0xa1, 97, 1],
  ];
  for (const value of allowed) {
    assert.equal(msgpackFault(bytes(...value)), null, String(value));
    for (let length = 0; length < value.length; length++) {
      assert.notEqual(msgpackFault(bytes(...value.slice(0, length))), null, `${value} cut to ${length}`);
    }
    assert.match(msgpackFault(bytes(...value, 0xc0))!, /after its end/);
  }
});

test("msgpackFault() refuses extensions, 0xC1 and integers of 64 bits", () => {
  for (const type of [0xc1, 0xc7, 0xc8, 0xc9, 0xcf, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) {
    assert.match(msgpackFault(bytes(type, ...new Array(40).fill(0)))!, /unsupported type/);
  }
});

test("msgpackFault() refuses keys that repeat, are no text or reach a prototype", () => {
  assert.equal(msgpackFault(mapOf("a", "b")), null);
  assert.match(msgpackFault(mapOf("a", "b", "a"))!, /"a" twice/);
  for (const key of ["__proto__", "constructor", "prototype"]) {
    assert.match(msgpackFault(mapOf(key))!, /forbidden key/);
  }
  assert.match(msgpackFault(bytes(0x81, 1, 1))!, /not a string/);
  assert.match(msgpackFault(bytes(0x81, 0x80, 1))!, /not a string/);
  // The same key in two maps, and the words as values, are fine.
  assert.equal(msgpackFault(bytes(0x92, ...mapOf("a"), ...mapOf("a"))), null);
  assert.equal(msgpackFault(bytes(0xa9, ...ascii("prototype"))), null);
});

test("msgpackFault() refuses text that is not UTF-8", () => {
  const bad = [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]];
  for (const text of bad) assert.match(msgpackFault(bytes(0xa0 | text.length, ...text))!, /not UTF-8/);
});

test("msgpackFault() refuses bombs at once", () => {
  const million = 1_000_000;
  const bombs: [string, Uint8Array, RegExp][] = [
    ["array32 of 2^32-1", bytes(0xdd, 255, 255, 255, 255), /more than 8192 values/],
    ["map32 of 2^32-1", bytes(0xdf, 255, 255, 255, 255), /more than 8192 values/],
    ["bin32 of 2^32-1", bytes(0xc6, 255, 255, 255, 255), /ends inside a value/],
    ["str32 of 2^32-1", bytes(0xdb, 255, 255, 255, 255), /ends inside a value/],
    ["nesting of arrays", new Uint8Array(million).fill(0x91), /nests deeper than 8/],
    ["nesting of array32", new Uint8Array(million).fill(0xdd), /more than 8192 values/],
    ["one long string", bytes(0xda, 0x20, 0, ...new Array(0x2000).fill(97)), /string of more than 4096/],
    ["many empty arrays", bytes(0xdc, 0xff, 0xff, ...new Array(0xffff).fill(0x90)), /more than 8192 values/],
  ];
  // 16 arrays of 16 arrays of ... 16 nothings: every length is honest and the sum is 16^5.
  let tree = bytes(0xc0);
  for (let level = 0; level < 5; level++) {
    const next = new Uint8Array(3 + 16 * tree.length);
    next.set([0xdc, 0, 16]);
    for (let i = 0; i < 16; i++) next.set(tree, 3 + i * tree.length);
    tree = next;
  }
  bombs.push(["a tree of 16^5 values", tree, /more than 8192 values/]);
  for (const [name, bomb, reason] of bombs) {
    const start = performance.now();
    assert.match(msgpackFault(bomb) ?? "accepted", reason, name);
    assert.ok(performance.now() - start < 500, `${name} took ${performance.now() - start} ms`);
  }
});

test("msgpackFault() survives any bytes", () => {
  let state = 7;
  let refused = 0;
  for (let round = 0; round < 20000; round++) {
    const junk = Uint8Array.from({ length: 24 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    });
    if (msgpackFault(junk) !== null) refused++;
  }
  assert.ok(refused > 19900);
});
