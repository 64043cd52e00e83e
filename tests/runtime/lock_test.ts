import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withLock } from "../../runtime/output.ts";
import { processStart, processWorld } from "../../runtime/process_identity.ts";
import { refusal, withFolder } from "./support.ts";

test("withLock() refuses as locked when another call holds it, and frees it afterwards", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.dscal");
    let inner: unknown;
    const value = await withLock(path, async () => {
      await withLock(path, () => Promise.resolve()).catch((error) => inner = error);
      return 7;
    });
    assert.equal(value, 7);
    refusal("locked", `process ${process.pid}`, "a.dscal.lock")(inner);
    await assert.rejects(withLock(path, () => Promise.reject(new Error("work failed"))), /work failed/);
    assert.deepEqual(readdirSync(folder), []);
  }));

test("withLock() runs one at a time when many wait", () =>
  withFolder(async (folder) => {
    let running = 0;
    let most = 0;
    let count = 0;
    const work = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      count++;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(join(folder, "a"), work, { waitMs: 20_000 })));
    assert.equal(most, 1);
    assert.equal(count, 5);
  }));

test("withLock() stops waiting when aborted", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    const reason = new Error("enough");
    const controller = new AbortController();
    await withLock(path, async () => {
      setTimeout(() => controller.abort(reason), 30);
      const waiting = withLock(path, () => Promise.resolve(), { waitMs: 60_000, signal: controller.signal });
      await assert.rejects(waiting, (error) => error === reason);
    });
    assert.deepEqual(readdirSync(folder), []);
  }));

test("withLock() takes over when the holder has ended, was another process or wrote nothing", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    const world = await processWorld();
    const start = await processStart(process.pid);
    const left = async (content: unknown, age = 0) => {
      writeFileSync(`${path}.lock`, typeof content === "string" ? content : JSON.stringify(content));
      const when = new Date(Date.now() - age);
      utimesSync(`${path}.lock`, when, when);
      return await withLock(path, () => Promise.resolve("done"));
    };
    const holder = { pid: 2 ** 30, start: "1", world, host: "here", token: "t" };
    assert.equal(await left(holder), "done");
    // The number lives on in another process: this one.
    if (start !== null) {
      assert.equal(await left({ ...holder, pid: process.pid, start: "another time" }), "done");
    }
    await assert.rejects(left({ ...holder, pid: process.pid, start }), refusal("locked"));
    assert.equal(await left("", 60_000), "done");
    assert.equal(await left("[]", 60_000), "done");
    await assert.rejects(left(""), refusal("locked", "another process"));
    // Another machine's process numbers mean nothing here; its silence does.
    await assert.rejects(
      left({ ...holder, world: "elsewhere", host: "there" }),
      refusal("locked", "on there"),
    );
    assert.equal(await left({ ...holder, world: "elsewhere" }, 600_000), "done");
    assert.deepEqual(readdirSync(folder), []);
  }));

test("withLock() takes over when the holder was killed", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    const script = join(folder, "hold.mjs");
    const output = new URL("../../runtime/output.ts", import.meta.url).href;
    writeFileSync(
      script,
      `const { withLock } = await import(${JSON.stringify(output)});
       await withLock(${
        JSON.stringify(path)
      }, async () => { console.log("held"); await new Promise((r) => setTimeout(r, 60000)); });`,
    );
    const child = execFile(process.execPath, [...("Deno" in globalThis ? ["run", "-A"] : []), script]);
    const ended = new Promise((resolve) => child.on("close", resolve));
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    await assert.rejects(withLock(path, () => Promise.resolve()), refusal("locked", `process ${child.pid}`));
    child.kill("SIGKILL");
    await ended;
    assert.ok(existsSync(`${path}.lock`));
    assert.equal(await withLock(path, () => Promise.resolve("mine")), "mine");
    assert.ok(!existsSync(`${path}.lock`));
  }));

test("withLock() says cannot-create when the folder is missing", () =>
  withFolder(async (folder) => {
    const path = join(folder, "no", "a");
    await assert.rejects(withLock(path, () => Promise.resolve()), refusal("cannot-create", "a.lock"));
  }));

test("withLock() leaves a lock alone when somebody else has taken it over", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a");
    await withLock(path, () => {
      writeFileSync(
        `${path}.lock`,
        JSON.stringify({ pid: 1, start: null, world: "w", host: "h", token: "theirs" }),
      );
      return Promise.resolve();
    });
    assert.match(readFileSync(`${path}.lock`, "utf8"), /theirs/);
  }));
