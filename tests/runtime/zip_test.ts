import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { zipEntry } from "../../runtime/zip.ts";
import { noise, refusal, withFolder, zipOf } from "./support.ts";

async function unpack(folder: string, archive: Uint8Array, name = "a/b.gguf"): Promise<Uint8Array> {
  const path = join(folder, "x.whl");
  writeFileSync(path, archive);
  const pieces: Uint8Array[] = [];
  for await (const piece of zipEntry(path, name)) pieces.push(new Uint8Array(piece));
  return new Uint8Array(Buffer.concat(pieces));
}

test("zipEntry() gives the file's content when it is stored or deflated", () =>
  withFolder(async (folder) => {
    for (const content of [noise(1_500_000), new Uint8Array(3_000_000), noise(1), new Uint8Array(0)]) {
      assert.deepEqual(await unpack(folder, zipOf("a/b.gguf", content)), content);
      assert.deepEqual(
        await unpack(folder, zipOf("a/b.gguf", content, { method: 0, comment: "PK" })),
        content,
      );
    }
  }));

test("zipEntry() refuses as bad data when the archive is not what it says", () =>
  withFolder(async (folder) => {
    const content = noise(10_000);
    const whole = zipOf("a/b.gguf", content);
    const refused = (archive: Uint8Array, ...texts: string[]) =>
      assert.rejects(unpack(folder, archive), refusal("bad-data", ...texts));
    await refused(new Uint8Array(0), "not a whole zip");
    await refused(noise(5000), "not a whole zip");
    await refused(whole.subarray(0, whole.length - 5), "not a whole zip");
    await refused(zipOf("other", content), "does not hold a/b.gguf");
    await refused(zipOf("a/b.gguf", content, { listedBytes: 9_999 }), "more than the 9999");
    await refused(zipOf("a/b.gguf", content, { listedBytes: 10_001 }), "10000 bytes where 10001");
    await refused(zipOf("a/b.gguf", content, { packed: noise(5000) }), "broken");
    await refused(zipOf("a/b.gguf", content, { packed: whole.subarray(38, 5000) }), "broken");
    await refused(zipOf("a/b.gguf", content, { flags: 1 }), "encrypted");
    await refused(zipOf("a/b.gguf", content, { method: 12 }), "method 12");
    const moved = whole.slice();
    new DataView(moved.buffer).setUint32(whole.length - 22 + 16, whole.length, true);
    await refused(moved, "do not fit");
  }));

test("zipEntry() stops at the listed size when the content would unpack without end", () =>
  withFolder(async (folder) => {
    const bomb = zipOf("a/b.gguf", new Uint8Array(200_000_000), { listedBytes: 1000 });
    const start = performance.now();
    await assert.rejects(unpack(folder, bomb), refusal("bad-data", "more than the 1000"));
    assert.ok(performance.now() - start < 1500);
  }));

test("zipEntry() gives the content or refuses as bad data when bytes are changed", () =>
  withFolder(async (folder) => {
    const content = noise(300);
    const whole = zipOf("a/b.gguf", content);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = whole.slice();
        changed[at]! ^= flip;
        try {
          assert.ok((await unpack(folder, changed)).length <= 300);
        } catch (error) {
          refusal("bad-data")(error);
        }
      }),
      { numRuns: 300, seed: 7 },
    );
  }));
