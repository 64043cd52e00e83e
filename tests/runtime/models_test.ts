import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { cachedHubModels, findHubModel, hubFolder, parseHubModel } from "../../runtime/hub_cache.ts";
import {
  cachedModelPath,
  DEFAULT_MODEL,
  FALLBACK_MODEL,
  findModel,
  NAMED_MODELS,
  namedModel,
  resolveModel,
} from "../../runtime/models.ts";
import { refusal, withFolder } from "./support.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

function addHubModel(
  hub: string,
  id: string,
  files: readonly string[],
  commit = COMMIT,
  reference = "main",
): string {
  const entry = join(hub, `models--${id.replace("/", "--")}`);
  const snapshot = join(entry, "snapshots", commit);
  mkdirSync(snapshot, { recursive: true });
  mkdirSync(join(entry, "blobs"), { recursive: true });
  for (const [index, name] of files.entries()) {
    writeFileSync(join(entry, "blobs", `b${index}`), "{}");
    symlinkSync(`../../blobs/b${index}`, join(snapshot, name));
  }
  if (reference !== "") {
    mkdirSync(dirname(join(entry, "refs", reference)), { recursive: true });
    writeFileSync(join(entry, "refs", reference), `${commit}\n`);
  }
  return snapshot;
}

test("NAMED_MODELS holds the default and the fallback, each with size and hash", () => {
  for (const name of [DEFAULT_MODEL, FALLBACK_MODEL]) {
    const model = namedModel(name);
    assert.ok(model !== null && /^[0-9a-f]{64}$/.test(model.sha256) && model.bytes > 1e6);
  }
  assert.equal(namedModel(FALLBACK_MODEL)?.source, "embedded");
  assert.equal(new Set(NAMED_MODELS.map((model) => model.name)).size, NAMED_MODELS.length);
  assert.equal(namedModel("no"), null);
});

test("findModel() finds a named model in the cache only when its size is right", () =>
  withFolder(async (folder) => {
    const environment = { DS_HOME: folder };
    assert.equal(await findModel("smollm2-135m", environment), null);
    const model = namedModel("smollm2-135m")!;
    const path = cachedModelPath(model, environment);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    truncateSync(path, model.bytes - 1);
    assert.equal(await findModel("smollm2-135m", environment), null);
    truncateSync(path, model.bytes);
    assert.deepEqual(await findModel("SmolLM2-135M", environment), { path, name: "smollm2-135m" });
    assert.equal((await resolveModel("smollm2-135m", environment)).path, path);
    assert.equal((await findModel("stories260k", environment))?.path, "embedded:stories260k/stories260K.bin");
  }));

test("resolveModel() takes paths before Hugging Face ids and says how to get what is missing", () =>
  withFolder(async (folder) => {
    const environment = { DS_HOME: folder, HF_HUB_CACHE: join(folder, "hub") };
    const path = join(folder, "model.gguf");
    writeFileSync(path, "x");
    assert.deepEqual(await resolveModel(path, environment), { path });
    assert.deepEqual(await resolveModel(folder, environment), { path: folder });
    await assert.rejects(
      resolveModel("smollm2-135m", environment),
      refusal("missing-input", "ds pull smollm2-135m", "98 MB"),
    );
    await assert.rejects(
      resolveModel("smollm-135m", environment),
      refusal("missing-input", "did you mean smollm2-135m"),
    );
    await assert.rejects(resolveModel("storys260k", environment), refusal("missing-input", "stories260k?"));
    await assert.rejects(resolveModel("a/b", environment), refusal("missing-input", "ds pull a/b"));
    await assert.rejects(
      resolveModel("./nothing/here/x", environment),
      refusal("missing-input", "no such path"),
    );
    await assert.rejects(resolveModel("", environment), refusal("missing-input"));
    addHubModel(join(folder, "hub"), "org/Some-Model", ["config.json"]);
    await assert.rejects(
      resolveModel("org/some-modl", environment),
      refusal("missing-input", "org/Some-Model?"),
    );
  }));

test("resolveModel() finds snapshots when the Hugging Face cache holds the model", () =>
  withFolder(async (folder) => {
    const environment = { HF_HOME: folder };
    const hub = join(folder, "hub");
    const snapshot = addHubModel(hub, "org/name", ["config.json", "model.safetensors"]);
    assert.deepEqual(await resolveModel("org/name", environment), { path: snapshot, name: "org/name" });
    assert.equal((await resolveModel(`org/name@${COMMIT}`, environment)).path, snapshot);
    await assert.rejects(
      resolveModel("org/name@v2", environment),
      refusal("missing-input", "ds pull org/name@v2"),
    );
    const other = addHubModel(hub, "org/name", ["config.json"], "f".repeat(40), "refs/pr/1");
    assert.equal((await resolveModel("org/name@refs/pr/1", environment)).path, other);
    const unnamed = addHubModel(hub, "org/commit", ["config.json"], COMMIT, "");
    assert.equal((await resolveModel("org/commit", environment)).path, unnamed);
    addHubModel(hub, "org/gguf", ["README.md", "a.gguf"]);
    assert.match((await resolveModel("org/gguf", environment)).path, /blobs[\\/]b1$/);
    addHubModel(hub, "org/many", ["a.gguf", "b.gguf"]);
    await assert.rejects(resolveModel("org/many", environment), refusal("missing-input", "a.gguf, b.gguf"));
    addHubModel(hub, "org/half", ["tokenizer.json"]);
    await assert.rejects(resolveModel("org/half", environment), refusal("missing-input", "ds pull org/half"));
    assert.deepEqual(await cachedHubModels(hub), [
      "org/commit",
      "org/gguf",
      "org/half",
      "org/many",
      "org/name",
    ]);
  }));

test("findHubModel() refuses when a reference leads out of the cache", () =>
  withFolder(async (folder) => {
    addHubModel(folder, "org/bad", ["config.json"], COMMIT);
    writeFileSync(join(folder, "models--org--bad", "refs", "main"), "../../../etc");
    await assert.rejects(
      findHubModel(folder, { id: "org/bad", revision: "main" }),
      refusal("bad-data", "does not hold a commit"),
    );
  }));

test("hubFolder() follows the order of Hugging Face's variables", () => {
  const home = join("/", "h");
  assert.equal(hubFolder({ HF_HUB_CACHE: "/x", HF_HOME: "/y", HOME: home }), "/x");
  assert.equal(hubFolder({ HF_HOME: "/y", HOME: home }), join("/y", "hub"));
  assert.equal(hubFolder({ HF_HOME: "~/y", HOME: home }), join(home, "y", "hub"));
  assert.equal(hubFolder({ HOME: home }), join(home, ".cache", "huggingface", "hub"));
});

test("parseHubModel() takes ids and refuses names that could be paths", () => {
  assert.deepEqual(parseHubModel("meta-llama/Llama-3.1-8B"), {
    id: "meta-llama/Llama-3.1-8B",
    revision: "main",
  });
  assert.deepEqual(parseHubModel("a/b@v1.0"), { id: "a/b", revision: "v1.0" });
  for (
    const text of [
      "a",
      "../b",
      "a/..",
      "/a/b",
      "a/b/c",
      "a\\b/c",
      "a/b@../x",
      "a/b@",
      "a/b--c",
      "a/b\0",
      "-a/b",
    ]
  ) {
    assert.equal(parseHubModel(text), null, text);
  }
});
