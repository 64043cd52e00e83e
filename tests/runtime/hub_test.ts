import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pullHuggingFace } from "../../runtime/hub.ts";
import { resolveModel } from "../../runtime/models.ts";
import { IMPATIENT, noise, refusal, serveBytes, type TestServer, withFolder, withServer } from "./support.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS = noise(250_000);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const text = (value: string) => new TextEncoder().encode(value);

type Files = Record<string, Uint8Array>;

const SMALL: Files = {
  "config.json": text(`{"model_type":"llama"}`),
  "tokenizer.json": text("{}"),
  "tokenizer_config.json": text(`{"a":1}`),
  "chat_template.jinja": text("{{ messages }}"),
  "README.md": text("not needed"),
  "pytorch_model.bin": noise(100),
};

interface Hub extends TestServer {
  /** Where large files really are; another origin. */
  readonly store: TestServer;
  pull(hub: string, id?: string, more?: object): ReturnType<typeof pullHuggingFace>;
}

/** A hub that serves one repository: small files itself, `large` ones by redirect to another host. */
async function withHub(
  small: Files,
  large: Files,
  work: (hub: Hub) => Promise<void>,
  options: { listed?: string[]; served?: Files; cutAfter?: number } = {},
): Promise<void> {
  const served = options.served ?? large;
  await withServer((request, response, count) => {
    const bytes = served[decodeURIComponent(request.path.slice(1).split("?")[0]!)]!;
    serveBytes(request, response, bytes, '"x"', count === 0 ? options.cutAfter : undefined);
  }, (store) =>
    withServer((request, response) => {
      if (request.path.startsWith("/api/")) {
        const known = /^\/api\/models\/org\/name\/revision\/(main|v1|refs%2Fpr%2F1|[0-9a-f]{40})$/.test(
          request.path,
        );
        if (!known) return response.writeHead(404).end();
        const names = options.listed ?? [...Object.keys(small), ...Object.keys(large)];
        const siblings = names.map((rfilename) => ({ rfilename }));
        return response.writeHead(200).end(JSON.stringify({ sha: COMMIT, siblings }));
      }
      const name = request.path.slice(`/org/name/resolve/${COMMIT}/`.length);
      const isLarge = large[name] !== undefined;
      if (isLarge) {
        const etag = `"${sha256(large[name]!)}"`;
        const headers = { "x-linked-etag": etag, "x-linked-size": String(large[name]!.length) };
        return response.writeHead(302, { ...headers, location: `${store.origin}/${name}?signed` }).end();
      }
      if (small[name] === undefined) return response.writeHead(404).end();
      serveBytes(
        request,
        response,
        small[name]!,
        `"${createHash("sha1").update(small[name]!).digest("hex")}"`,
      );
    }, (main) =>
      work({
        ...main,
        store,
        pull: (hub, id = "org/name", more = {}) =>
          pullHuggingFace(id, { hub, endpoint: main.origin, environment: {}, patience: IMPATIENT, ...more }),
      })));
}

test("pullHuggingFace() fills the cache so that resolveModel() finds the model", () =>
  withFolder((folder) =>
    withHub(SMALL, { "model.safetensors": WEIGHTS }, async ({ pull, seen, store }) => {
      const counts: number[] = [];
      const pulled = await pull(folder, "org/name", {
        token: "secret",
        onProgress: (done: number, total: number) => {
          assert.equal(total, pulledBytes);
          counts.push(done);
        },
      });
      const snapshot = join(folder, "models--org--name", "snapshots", COMMIT);
      assert.deepEqual(pulled, {
        path: snapshot,
        name: "org/name",
        commit: COMMIT,
        bytes: pulledBytes,
        fetchedBytes: pulledBytes,
      });
      assert.equal(counts.at(-1), pulledBytes);
      const wanted = [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
      ];
      assert.deepEqual(readdirSync(snapshot).sort(), wanted);
      assert.deepEqual(new Uint8Array(readFileSync(join(snapshot, "model.safetensors"))), WEIGHTS);
      assert.deepEqual(readdirSync(join(snapshot, "..", "..", "blobs")).length, wanted.length);
      if (process.platform !== "win32") assert.ok(lstatSync(join(snapshot, "config.json")).isSymbolicLink());
      assert.equal(readFileSync(join(folder, "models--org--name", "refs", "main"), "utf8"), COMMIT);
      assert.equal((await resolveModel("org/name", { HF_HUB_CACHE: folder })).path, snapshot);
      assert.ok(seen.every(({ headers }) => headers["authorization"] === "Bearer secret"));
      assert.ok(
        store.seen.length > 0 && store.seen.every(({ headers }) => headers["authorization"] === undefined),
      );
      const before = store.seen.length;
      assert.equal((await pull(folder)).fetchedBytes, 0);
      assert.equal(store.seen.length, before);
    })
  ));
const pulledBytes = WEIGHTS.length +
  ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
    .reduce((sum, name) => sum + SMALL[name]!.length, 0);

test("pullHuggingFace() goes on where it was when the connection drops", () =>
  withFolder((folder) =>
    withHub(SMALL, { "model.safetensors": WEIGHTS }, async ({ pull, store }) => {
      const { path } = await pull(folder);
      assert.deepEqual(new Uint8Array(readFileSync(join(path, "model.safetensors"))), WEIGHTS);
      assert.match(store.seen[1]!.headers["range"] ?? "", /^bytes=[1-9]/);
    }, { cutAfter: 100_000 })
  ));

test("pullHuggingFace() takes the shards the index names, and no other weights", () =>
  withFolder((folder) => {
    const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const index = { weight_map: { a: shards[1], b: shards[0], c: shards[0] } };
    const small = { ...SMALL, "model.safetensors.index.json": text(JSON.stringify(index)) };
    const large = { [shards[0]!]: WEIGHTS, [shards[1]!]: noise(1000), "consolidated.safetensors": noise(50) };
    return withHub(small, large, async ({ pull }) => {
      const { path } = await pull(folder);
      const names = readdirSync(path).filter((name) => name.includes("safetensors")).sort();
      assert.deepEqual(names, [...shards, "model.safetensors.index.json"]);
    });
  }));

test("pullHuggingFace() refuses as bad data when the index leads out of the cache or names what is not there", () =>
  withFolder(async (folder) => {
    for (const name of ["../../../evil", "/etc/passwd", "a\\b", "not-listed.safetensors", 7]) {
      const index = text(JSON.stringify({ weight_map: { a: name } }));
      await withHub(
        { ...SMALL, "model.safetensors.index.json": index },
        { "model.safetensors": WEIGHTS },
        ({ pull }) => assert.rejects(pull(folder), refusal("bad-data", "index.json names")),
      );
    }
    assert.ok(!existsSync(join(folder, "models--org--name", "refs")));
  }));

test("pullHuggingFace() ignores listed names that lead elsewhere", () =>
  withFolder((folder) => {
    const listed = [
      "config.json",
      "model.safetensors",
      "../tokenizer.json",
      "sub/config.json",
      "/tokenizer.json",
    ];
    return withHub(SMALL, { "model.safetensors": WEIGHTS }, async ({ pull }) => {
      assert.deepEqual(readdirSync((await pull(folder)).path).sort(), ["config.json", "model.safetensors"]);
    }, { listed });
  }));

test("pullHuggingFace() refuses as io, with no reference written, when a large file has the wrong hash", () =>
  withFolder((folder) =>
    withHub(SMALL, { "model.safetensors": WEIGHTS }, async ({ pull }) => {
      await assert.rejects(pull(folder), refusal("io", "model.safetensors", sha256(WEIGHTS)));
      assert.ok(!existsSync(join(folder, "models--org--name", "refs")));
      assert.ok(!readdirSync(join(folder, "models--org--name", "blobs")).includes(sha256(WEIGHTS)));
    }, { served: { "model.safetensors": noise(WEIGHTS.length, 4) } })
  ));

test("pullHuggingFace() fetches again when a blob has the wrong size", () =>
  withFolder((folder) =>
    withHub(SMALL, { "model.safetensors": WEIGHTS }, async ({ pull }) => {
      const { path } = await pull(folder, "org/name@refs/pr/1");
      const blob = join(path, "..", "..", "blobs", sha256(WEIGHTS));
      writeFileSync(blob, "cut");
      rmSync(join(path, "config.json"));
      assert.equal((await pull(folder, "org/name", { revision: "v1" })).fetchedBytes, WEIGHTS.length);
      assert.deepEqual(new Uint8Array(readFileSync(join(path, "model.safetensors"))), WEIGHTS);
      assert.ok(existsSync(join(path, "config.json")));
      assert.deepEqual(readdirSync(join(path, "..", "..", "refs")).sort(), ["refs", "v1"]);
    })
  ));

test("pullHuggingFace() takes a repository's only GGUF file and refuses to choose between several", () =>
  withFolder(async (folder) => {
    await withHub({ "README.md": text("x") }, { "m.Q8_0.gguf": WEIGHTS }, async ({ pull }) => {
      const { path } = await pull(folder);
      assert.deepEqual(new Uint8Array(readFileSync(path)), WEIGHTS);
    });
    await withHub(
      {},
      { "a.gguf": WEIGHTS, "b.gguf": WEIGHTS },
      ({ pull }) => assert.rejects(pull(folder), refusal("missing-input", "2 GGUF files")),
    );
    await withHub(
      { "config.json": text("{}") },
      { "pytorch_model.bin": WEIGHTS },
      ({ pull }) => assert.rejects(pull(folder), refusal("missing-input", "safetensors")),
    );
  }));

test("pullHuggingFace() refuses ids, revisions, unknown repositories and the network when forbidden", () =>
  withFolder((folder) =>
    withHub(SMALL, {}, async ({ pull, seen }) => {
      await assert.rejects(pull(folder, "../x"), refusal("usage", "org/name"));
      await assert.rejects(pull(folder, "org/name", { revision: "../main" }), refusal("usage", "revision"));
      const offline = { environment: { HF_HUB_OFFLINE: "1" } };
      await assert.rejects(pull(folder, "org/name", offline), refusal("missing-input", "HF_HUB_OFFLINE"));
      assert.equal(seen.length, 0);
      await assert.rejects(pull(folder, "org/other"), refusal("missing-input", "404"));
    })
  ));

test("pullHuggingFace() refuses an endpoint that is no hub", () =>
  withFolder((folder) =>
    withServer((_, response) => response.writeHead(200).end("<html>"), async ({ origin }) => {
      const options = { hub: folder, endpoint: origin, environment: {}, patience: IMPATIENT };
      await assert.rejects(pullHuggingFace("org/name", options), refusal("io", "JSON"));
    })
  ));
