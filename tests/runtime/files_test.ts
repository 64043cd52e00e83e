import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { diskFiles, nameFault } from "../../runtime/files.ts";
import { noise, refusal, withFolder } from "./support.ts";
import { skip } from "../support/skip.ts";

test("read() gives exactly the bytes asked for when reads overlap in time", () =>
  withFolder(async (folder) => {
    const bytes = noise(3_000_000);
    writeFileSync(join(folder, "a"), bytes);
    const file = await diskFiles.open(join(folder, "a"));
    assert.equal(file.size, bytes.length);
    const places = Array.from({ length: 40 }, (_, index) => [index * 70_001, 65_536] as const);
    const pieces = await Promise.all(places.map(([offset, length]) => file.read(offset, length)));
    pieces.forEach((piece, index) => {
      const [offset, length] = places[index]!;
      assert.deepEqual(piece, bytes.slice(offset, offset + length));
    });
    assert.equal((await file.read(bytes.length, 0)).length, 0);
    await file.close();
  }));

test("read() refuses as bad data when the range is past the end", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "a"), noise(100));
    const file = await diskFiles.open(join(folder, "a"));
    await assert.rejects(file.read(90, 11), refusal("bad-data", "90 to 101", "has 100"));
    await assert.rejects(file.read(2 ** 50, 1), refusal("bad-data"));
    assert.throws(() => file.read(-1, 1), RangeError);
    assert.throws(() => file.read(0, 2 ** 30 + 1), RangeError);
    assert.throws(() => file.read(0.5, 1), RangeError);
    assert.equal((await file.read(99, 1)).length, 1);
    await file.close();
  }));

test("read() refuses as bad data when the file shrank after it was opened", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    writeFileSync(path, noise(100_000));
    const file = await diskFiles.open(path);
    truncateSync(path, 500);
    await assert.rejects(
      file.read(0, 1000),
      refusal("bad-data", "100000", "now ends at byte 500", "changed"),
    );
    assert.equal((await file.read(0, 500)).length, 500);
    await file.close();
  }));

test("open() refuses when the path is a folder, missing or a device", async (t) => {
  await withFolder(async (folder) => {
    await assert.rejects(diskFiles.open(folder), refusal("missing-input", "a folder"));
    await assert.rejects(diskFiles.open(join(folder, "no")), refusal("missing-input", "ENOENT"));
    writeFileSync(join(folder, "a"), "a");
    await assert.rejects(diskFiles.open(join(folder, "a", "b")), refusal("missing-input"));
    assert.equal(await diskFiles.kind(join(folder, "a", "b")), "missing");
  });
  if (!existsSync("/dev/zero")) return skip(t, "needs /dev/zero: not here");
  await assert.rejects(diskFiles.open("/dev/zero"), refusal("missing-input", "a device"));
});

test("open() does not wait when the path is a named pipe", async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, "pipe");
    try {
      execFileSync("mkfifo", [path]);
    } catch {
      return skip(t, "needs mkfifo: not here");
    }
    assert.equal(await diskFiles.kind(path), "other");
    await assert.rejects(diskFiles.open(path), refusal("missing-input", "a named pipe"));
  });
});

test("open() says io when permission is lacking", async (t) => {
  if (process.getuid?.() === 0 || process.platform === "win32") {
    return skip(t, "needs a user whom permissions bind");
  }
  await withFolder(async (folder) => {
    writeFileSync(join(folder, "a"), "a");
    chmodSync(join(folder, "a"), 0);
    await assert.rejects(diskFiles.open(join(folder, "a")), refusal("io", "EACCES"));
  });
});

test("kind() tells files, folders, broken links and impossible names apart", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "a"), "a");
    symlinkSync("nowhere", join(folder, "link"));
    assert.equal(await diskFiles.kind(join(folder, "a")), "file");
    assert.equal(await diskFiles.kind(folder), "folder");
    assert.equal(await diskFiles.kind(join(folder, "link")), "missing");
    assert.equal(await diskFiles.kind(join(folder, "x".repeat(5000))), "missing");
    assert.equal(await diskFiles.kind(`${folder}/a\0b`), "missing");
  }));

test("resolveInside() refuses when the name or the link leads out of the folder", () =>
  withFolder(async (folder) => {
    const model = join(folder, "model");
    mkdirSync(join(model, "sub"), { recursive: true });
    writeFileSync(join(folder, "secret"), "s");
    writeFileSync(join(model, "sub", "a"), "a");
    symlinkSync("../secret", join(model, "out"));
    symlinkSync("sub/a", join(model, "in"));
    symlinkSync("gone", join(model, "dangling"));
    for (
      const name of ["../secret", "/etc/passwd", "sub/../../secret", "a\0", "a\\b", "c:a", "", "sub//a", "."]
    ) {
      await assert.rejects(diskFiles.resolveInside(model, name), refusal("bad-data", "refused"), name);
    }
    await assert.rejects(diskFiles.resolveInside(model, "out"), refusal("bad-data", "outside"));
    await assert.rejects(diskFiles.resolveInside(model, "dangling"), refusal("missing-input", "not there"));
    assert.match(await diskFiles.resolveInside(model, "in"), /model[\\/]sub[\\/]a$/);
    assert.match(await diskFiles.resolveInside(model, "not-there.json"), /model[\\/]not-there\.json$/);
    assert.equal(nameFault("..model/..a"), null);
  }));

test("resolveInside() lets only blobs pass when the folder is a Hugging Face snapshot", () =>
  withFolder(async (folder) => {
    const entry = join(folder, "models--a--b");
    const snapshot = join(entry, "snapshots", "c0ffee");
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(entry, "blobs"));
    mkdirSync(join(folder, "models--a--other", "blobs"), { recursive: true });
    writeFileSync(join(entry, "blobs", "1"), "1");
    writeFileSync(join(entry, "secret"), "s");
    writeFileSync(join(folder, "models--a--other", "blobs", "1"), "2");
    symlinkSync("../../blobs/1", join(snapshot, "good"));
    symlinkSync("../../secret", join(snapshot, "bad"));
    symlinkSync("../../../models--a--other/blobs/1", join(snapshot, "other"));
    assert.match(await diskFiles.resolveInside(snapshot, "good"), /blobs[\\/]1$/);
    await assert.rejects(diskFiles.resolveInside(snapshot, "bad"), refusal("bad-data", "outside"));
    await assert.rejects(diskFiles.resolveInside(snapshot, "other"), refusal("bad-data", "outside"));
  }));
