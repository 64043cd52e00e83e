import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { writeAtomically } from "../../runtime/output.ts";
import { noise, refusal, withFolder } from "./support.ts";
import { skip } from "../support/skip.ts";

test("writeAtomically() leaves the new content alone when the file is new or replaced", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.dscal");
    await writeAtomically(path, noise(100_000));
    assert.deepEqual(new Uint8Array(readFileSync(path)), noise(100_000));
    chmodSync(path, 0o640);
    await writeAtomically(path, "text: é");
    assert.equal(readFileSync(path, "utf8"), "text: é");
    if (process.platform !== "win32") assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(folder), ["a.dscal"]);
  }));

test("writeAtomically() keeps the old content when the pieces fail half-way", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    writeFileSync(path, "old");
    const fault = new Error("the source broke");
    async function* pieces() {
      yield noise(50_000);
      await Promise.resolve();
      throw fault;
    }
    await assert.rejects(writeAtomically(path, pieces()), (error) => error === fault);
    assert.equal(readFileSync(path, "utf8"), "old");
    assert.deepEqual(readdirSync(folder), ["a"]);
  }));

test("writeAtomically() says cannot-create when the path does not allow it", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(writeAtomically(folder, "x"), refusal("cannot-create", "it is a folder"));
    await assert.rejects(
      writeAtomically(join(folder, "no", "a"), "x"),
      refusal("cannot-create", "its folder", "is not there"),
    );
    writeFileSync(join(folder, "file"), "x");
    await assert.rejects(writeAtomically(join(folder, "file", "a"), "x"), refusal("cannot-create", "file"));
    await assert.rejects(writeAtomically(join(folder, "x".repeat(300)), "x"), refusal("cannot-create"));
    symlinkSync("loop", join(folder, "loop"));
    await assert.rejects(writeAtomically(join(folder, "loop"), "x"), refusal("cannot-create", "circle"));
    assert.deepEqual(readdirSync(folder).sort(), ["file", "loop"]);
  });
});

test("writeAtomically() refuses when file or folder are read-only", async (t) => {
  if (process.getuid?.() === 0 || process.platform === "win32") {
    return skip(t, "needs a user whom permissions bind");
  }
  await withFolder(async (folder) => {
    const path = join(folder, "a");
    writeFileSync(path, "old");
    chmodSync(path, 0o444);
    await assert.rejects(writeAtomically(path, "x"), refusal("cannot-create", "EACCES"));
    chmodSync(folder, 0o555);
    await assert.rejects(writeAtomically(join(folder, "b"), "x"), refusal("cannot-create", "EACCES"));
    chmodSync(folder, 0o755);
    assert.equal(readFileSync(path, "utf8"), "old");
  });
});

test("writeAtomically() refuses when the file system takes no files", async (t) => {
  if (!existsSync("/proc/self")) return skip(t, "needs /proc: not here");
  await assert.rejects(
    writeAtomically("/proc/ds-test.json", "x"),
    refusal("cannot-create", "/proc/ds-test.json"),
  );
});

test("writeAtomically() says io when the device is full, and leaves the device a device", async (t) => {
  if (!existsSync("/dev/full")) return skip(t, "needs /dev/full: not here");
  await assert.rejects(writeAtomically("/dev/full", "x"), refusal("io", "no space is left", "/dev/full"));
  assert.ok(lstatSync("/dev/full").isCharacterDevice());
  await writeAtomically("/dev/null", "x");
  assert.ok(lstatSync("/dev/null").isCharacterDevice());
});

test("writeAtomically() leaves nothing behind when the disk fills up half-way", async (t) => {
  if (process.platform !== "linux") return skip(t, "needs a limit on file sizes: Linux");
  await withFolder(async (folder) => {
    const script = join(folder, "write.mjs");
    const output = new URL("../../runtime/output.ts", import.meta.url).href;
    writeFileSync(
      script,
      `const { writeAtomically } = await import(${JSON.stringify(output)});
       try { await writeAtomically(${JSON.stringify(join(folder, "big"))}, new Uint8Array(3_000_000)); }
       catch (error) { console.log(error.kind, error.message); }`,
    );
    const isDeno = "Deno" in globalThis;
    const command = `ulimit -f 1000; trap '' XFSZ; exec "$0" "$@"`;
    const args = ["-c", command, process.execPath, ...(isDeno ? ["run", "-A"] : []), script];
    const said = await new Promise<string>((resolve, reject) => {
      execFile("bash", args, { encoding: "utf8" }, (error, out) => error ? reject(error) : resolve(out));
    });
    assert.match(said, /^io Cannot write .*big/);
    assert.deepEqual(readdirSync(folder), ["write.mjs"]);
  });
});

test("writeAtomically() refuses a pipe nobody reads, and fills one somebody reads", async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, "pipe");
    try {
      execFileSync("mkfifo", [path]);
    } catch {
      return skip(t, "needs mkfifo: not here");
    }
    await assert.rejects(writeAtomically(path, "x"), refusal("cannot-create", "nothing reads"));
    const read = new Promise<string>((resolve, reject) => {
      execFile("cat", [path], { encoding: "utf8" }, (error, out) => error ? reject(error) : resolve(out));
    });
    for (let tries = 0;; tries++) {
      try {
        await writeAtomically(path, "through");
        break;
      } catch (error) {
        // The reader may not have opened it yet.
        if (tries === 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    assert.equal(await read, "through");
  });
});

test("writeAtomically() writes the file a link leads to when the path is a link", () =>
  withFolder(async (folder) => {
    mkdirSync(join(folder, "real"));
    writeFileSync(join(folder, "real", "a"), "old");
    symlinkSync("real/a", join(folder, "link"));
    symlinkSync("real/new", join(folder, "fresh"));
    await writeAtomically(join(folder, "link"), "new");
    await writeAtomically(join(folder, "fresh"), "made");
    assert.ok(lstatSync(join(folder, "link")).isSymbolicLink());
    assert.equal(readFileSync(join(folder, "real", "a"), "utf8"), "new");
    assert.equal(readFileSync(join(folder, "real", "new"), "utf8"), "made");
  }));

test("writeAtomically() clears away what a killed run left, and nothing else", () =>
  withFolder(async (folder) => {
    // Above the largest process number of every system.
    const dead = 2 ** 30;
    const stale = `.ds-${dead}-0123456789ab.tmp`;
    const young = `.ds-${dead}-aaaaaaaaaaaa.tmp`;
    const living = `.ds-${process.pid}-0123456789ab.tmp`;
    for (const name of [stale, young, living, "other.tmp"]) writeFileSync(join(folder, name), "");
    const old = new Date(Date.now() - 3600_000);
    for (const name of [stale, living, "other.tmp"]) utimesSync(join(folder, name), old, old);
    await writeAtomically(join(folder, "a"), "x");
    assert.deepEqual(readdirSync(folder).sort(), [young, living, "a", "other.tmp"].sort());
  }));

test("writeAtomically() shows the old or the new content, never a mixture, when the writer is killed", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a");
    const script = join(folder, "write.mjs");
    const output = new URL("../../runtime/output.ts", import.meta.url).href;
    writeFileSync(
      script,
      `const { writeAtomically } = await import(${JSON.stringify(output)});
       console.log("ready");
       for (let n = 0;; n = (n + 1) % 250) await writeAtomically(${
        JSON.stringify(path)
      }, new Uint8Array(400_000).fill(n));`,
    );
    const isDeno = "Deno" in globalThis;
    for (const delay of [60, 110]) {
      const child = execFile(process.execPath, [...(isDeno ? ["run", "-A"] : []), script]);
      const ended = new Promise((resolve) => child.on("close", resolve));
      await new Promise((resolve) => child.stdout!.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill("SIGKILL");
      await ended;
      const found = readFileSync(path);
      assert.equal(found.length, 400_000);
      assert.ok(found.every((byte) => byte === found[0]));
    }
  });
});
