import assert from "node:assert/strict";
import { existsSync, lstatSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { test } from "node:test";
import { dsFolders, ensureFolder } from "../../runtime/folders.ts";
import { refusal, withFolder } from "./support.ts";

const root = resolve("/h");

test("dsFolders() prefers DS_HOME, then XDG folders, then the system's places", () => {
  const own = resolve("/own");
  const xdg = { XDG_CACHE_HOME: resolve("/c"), XDG_DATA_HOME: resolve("/d"), HOME: root };
  assert.deepEqual(dsFolders({ ...xdg, DS_HOME: own }, "linux"), {
    cache: join(own, "cache"),
    data: join(own, "data"),
    note: null,
  });
  assert.deepEqual(dsFolders(xdg, "darwin"), {
    cache: join(resolve("/c"), "ds"),
    data: join(resolve("/d"), "ds"),
    note: null,
  });
  assert.deepEqual(dsFolders({ HOME: root, XDG_CACHE_HOME: "relative", XDG_DATA_HOME: "" }, "linux"), {
    cache: join(root, ".cache", "ds"),
    data: join(root, ".local", "share", "ds"),
    note: null,
  });
  assert.equal(dsFolders({ HOME: root }, "darwin").cache, join(root, "Library", "Caches", "ds"));
  assert.equal(dsFolders({ HOME: root }, "win32").data, join(root, "AppData", "Local", "ds", "data"));
  assert.equal(dsFolders({ HOME: root, LOCALAPPDATA: own }, "win32").cache, join(own, "ds", "cache"));
});

test("dsFolders() says so when there is no home folder and it uses a temporary one", () => {
  for (const environment of [{}, { HOME: "" }, { HOME: "relative" }]) {
    const { cache, data, note } = dsFolders(environment, "linux");
    assert.ok(isAbsolute(cache) && isAbsolute(data));
    assert.match(note ?? "", /no home folder.*DS_HOME/);
    const folder = lstatSync(resolve(cache, ".."));
    assert.ok(folder.isDirectory());
    if (process.getuid !== undefined) {
      assert.equal(folder.uid, process.getuid());
      assert.equal(folder.mode & 0o077, 0);
    }
  }
  assert.equal(dsFolders({ XDG_CACHE_HOME: root, XDG_DATA_HOME: root }, "linux").note, null);
});

test("dsFolders() agrees with the process's own environment when none is given", () => {
  assert.ok(isAbsolute(dsFolders().cache));
  if (
    process.env["DS_HOME"] === undefined && process.env["XDG_CACHE_HOME"] === undefined &&
    existsSync(homedir())
  ) {
    assert.ok(dsFolders().note === null);
  }
});

test("ensureFolder() says cannot-create and names DS_HOME when the place is taken", () =>
  withFolder(async (folder) => {
    await ensureFolder(join(folder, "a", "b"));
    assert.ok(existsSync(join(folder, "a", "b")));
    writeFileSync(join(folder, "file"), "");
    await assert.rejects(ensureFolder(join(folder, "file", "b")), refusal("cannot-create", "DS_HOME"));
  }));
