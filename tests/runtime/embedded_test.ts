import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  EMBEDDED_FOLDER,
  EMBEDDED_MODEL_PATH,
  EMBEDDED_TOKENIZER_PATH,
  embeddedModel,
  modelFiles,
} from "../../runtime/embedded.ts";
import { namedModel } from "../../runtime/models.ts";
import { refusal, withFolder } from "./support.ts";

test("embeddedModel() gives the files the table of models names", () => {
  const { model, tokenizer } = embeddedModel();
  const named = namedModel("stories260k")!;
  assert.equal(model.length, named.bytes);
  assert.equal(createHash("sha256").update(model).digest("hex"), named.sha256);
  assert.equal(tokenizer.length, 6227);
});

test("modelFiles serves the embedded files and the disk's", () =>
  withFolder(async (folder) => {
    const { model } = embeddedModel();
    const file = await modelFiles.open(EMBEDDED_MODEL_PATH);
    assert.equal(file.size, model.length);
    const piece = await file.read(100, 200);
    assert.deepEqual(piece, model.slice(100, 300));
    piece.fill(0);
    assert.deepEqual(await file.read(100, 200), model.slice(100, 300), "a reader gets a copy");
    await assert.rejects(file.read(file.size, 1), refusal("bad-data", EMBEDDED_MODEL_PATH));
    assert.throws(() => file.read(-1, 1), RangeError);
    await file.close();
    assert.equal(await modelFiles.kind(EMBEDDED_FOLDER), "folder");
    assert.equal(await modelFiles.kind(EMBEDDED_TOKENIZER_PATH), "file");
    assert.equal(await modelFiles.kind(`${EMBEDDED_FOLDER}/config.json`), "missing");
    assert.equal(await modelFiles.resolveInside(EMBEDDED_FOLDER, "tok512.bin"), EMBEDDED_TOKENIZER_PATH);
    await assert.rejects(modelFiles.resolveInside(EMBEDDED_FOLDER, "../x"), refusal("bad-data"));
    await assert.rejects(modelFiles.open("embedded:other"), refusal("missing-input", EMBEDDED_MODEL_PATH));
    writeFileSync(join(folder, "a"), "abc");
    assert.equal(
      (await modelFiles.open(join(folder, "a")).then(async (disk) => {
        await disk.close();
        return disk;
      })).size,
      3,
    );
  }));
