import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VERSION } from "../core/version.ts";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

test("VERSION is that of package.json and the newest of CHANGELOG.md", () => {
  assert.equal(VERSION, JSON.parse(read("package.json")).version);
  assert.equal(VERSION, /^## (\S+)/m.exec(read("CHANGELOG.md"))?.[1]);
});
