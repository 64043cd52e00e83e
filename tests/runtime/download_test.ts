import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { download, type DownloadOptions } from "../../runtime/download.ts";
import { IMPATIENT, noise, refusal, serveBytes, withFolder, withServer } from "./support.ts";

const BYTES = noise(300_000);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");

function options(folder: string, url: string, more: Partial<DownloadOptions> = {}): DownloadOptions {
  const destination = join(folder, "file");
  return { url, destination, what: "the model", maxBytes: 400_000, patience: IMPATIENT, ...more };
}

function assertWhole(folder: string): void {
  assert.deepEqual(new Uint8Array(readFileSync(join(folder, "file"))), BYTES);
  assert.deepEqual(readdirSync(folder), ["file"]);
}

test("download() gives the whole file and counts up to its size", () =>
  withFolder((folder) =>
    withServer((request, response) => serveBytes(request, response, BYTES), async ({ origin }) => {
      const counts: number[] = [];
      await download(options(folder, `${origin}/a`, {
        bytes: BYTES.length,
        sha256: SHA256,
        onProgress: (done, total) => {
          assert.equal(total, BYTES.length);
          counts.push(done);
        },
      }));
      assertWhole(folder);
      assert.equal(counts.at(-1), BYTES.length);
      assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
    })
  ));

test("download() goes on where it was when the connection drops", () =>
  withFolder((folder) =>
    withServer((request, response, count) => {
      serveBytes(request, response, BYTES, '"one"', count === 3 ? Infinity : 90_000);
    }, async ({ origin, seen }) => {
      await download(options(folder, `${origin}/a`, { sha256: SHA256 }));
      assertWhole(folder);
      assert.equal(seen[0]!.headers["range"], undefined);
      assert.ok(seen.length >= 2);
      for (const request of seen.slice(1)) {
        assert.match(request.headers["range"] ?? "", /^bytes=[1-9]\d*-$/);
        assert.equal(request.headers["if-range"], '"one"');
      }
    })
  ));

test("download() starts over when the server's file has changed or it ignores ranges", async () => {
  for (const ignores of [false, true]) {
    await withFolder((folder) =>
      withServer((request, response, count) => {
        const asked = ignores ? { ...request, headers: {} } : request;
        const old = count === 0;
        serveBytes(
          asked,
          response,
          old ? noise(300_000, 9) : BYTES,
          old ? '"old"' : '"new"',
          old ? 90_000 : Infinity,
        );
      }, async ({ origin, seen }) => {
        await download(options(folder, `${origin}/a`));
        assertWhole(folder);
        assert.equal(seen.length, 2);
        assert.notEqual(seen[1]!.headers["range"], undefined);
      })
    );
  }
});

test("download() starts over when the kept part turns out to be of another file", () =>
  withFolder((folder) =>
    withServer((request, response) => serveBytes(request, response, BYTES), async ({ origin, seen }) => {
      const url = `${origin}/a`;
      writeFileSync(join(folder, "file.part"), noise(50_000, 3));
      writeFileSync(join(folder, "file.part.json"), JSON.stringify({ url, validator: '"one"' }));
      await download(options(folder, url, { sha256: SHA256, bytes: BYTES.length }));
      assertWhole(folder);
      assert.equal(seen[0]!.headers["range"], "bytes=50000-");
      assert.equal(seen[1]!.headers["range"], undefined);
    })
  ));

test("download() does not trust a part when its notes are missing, broken or of another address", () =>
  withFolder((folder) =>
    withServer((request, response) => serveBytes(request, response, BYTES), async ({ origin, seen }) => {
      for (
        const notes of [null, "{", "null", JSON.stringify({ url: "http://other/a", validator: '"one"' })]
      ) {
        writeFileSync(join(folder, "file.part"), BYTES.subarray(0, 1000));
        if (notes !== null) writeFileSync(join(folder, "file.part.json"), notes);
        await download(options(folder, `${origin}/a`, { sha256: SHA256 }));
        assertWhole(folder);
      }
      assert.ok(seen.every((request) => request.headers["range"] === undefined));
    })
  ));

test("download() uses the part without a request when it is already whole", () =>
  withFolder((folder) =>
    withServer((_, response) => response.writeHead(500).end(), async ({ origin, seen }) => {
      const url = `${origin}/a`;
      writeFileSync(join(folder, "file.part"), BYTES);
      writeFileSync(join(folder, "file.part.json"), JSON.stringify({ url, validator: '"one"' }));
      await download(options(folder, url, { sha256: SHA256, bytes: BYTES.length }));
      assertWhole(folder);
      assert.equal(seen.length, 0);
    })
  ));

test("download() refuses as io and keeps nothing when size or hash are wrong", () =>
  withFolder((folder) =>
    withServer((request, response) => serveBytes(request, response, BYTES), async ({ origin, seen }) => {
      const refused = async (more: Partial<DownloadOptions>, ...texts: string[]) => {
        await assert.rejects(download(options(folder, `${origin}/a`, more)), refusal("io", ...texts));
        assert.ok(!existsSync(join(folder, "file")));
        assert.ok(!readdirSync(folder).some((name) => name.endsWith(".part") && !more.maxBytes));
      };
      await refused({ sha256: "0".repeat(64) }, SHA256, "0".repeat(64));
      await refused({ bytes: 299_999 }, "300000 bytes where 299999");
      await refused({ maxBytes: 1000 }, "longer than 1000 bytes");
      assert.equal(seen.length, 3);
    })
  ));

test("download() waits as told and tries again when the server is busy, a bounded number of times", () =>
  withFolder((folder) =>
    withServer((request, response, count) => {
      if (request.path === "/busy" || count === 0) {
        response.writeHead(503, { "retry-after": "0" }).end("busy");
      } else if (count === 1) response.writeHead(429).end();
      else serveBytes(request, response, BYTES);
    }, async ({ origin, seen }) => {
      await download(options(folder, `${origin}/a`));
      assertWhole(folder);
      assert.equal(seen.length, 3);
      const busy = { ...options(folder, `${origin}/busy`), destination: join(folder, "other") };
      await assert.rejects(download(busy), refusal("missing-input", "after 3 tries", "503", "/busy"));
      assert.equal(seen.length, 6);
    })
  ));

test("download() gives up at once when the server has no such file or denies it", () =>
  withFolder((folder) =>
    withServer(
      (request, response) => response.writeHead(Number(request.path.slice(1))).end(),
      async (server) => {
        for (
          const [status, text] of [[404, "no such file"], [403, "token"], [401, "token"], [
            400,
            "refused",
          ]] as const
        ) {
          const url = `${server.origin}/${status}`;
          await assert.rejects(download(options(folder, url)), refusal("missing-input", `${status}`, text));
        }
        assert.equal(server.seen.length, 4);
        assert.deepEqual(readdirSync(folder), []);
      },
    )
  ));

test("download() gives up on a server that stops sending, does not answer or is not there", () =>
  withFolder(async (folder) => {
    let origin = "";
    await withServer((request, response) => {
      if (request.path === "/silent") return;
      response.writeHead(200, { "content-length": "1000" });
      if (request.headers["range"] === undefined) response.write("x");
    }, async (server) => {
      origin = server.origin;
      const quick = { ...IMPATIENT, responseMs: 150, stallMs: 150 };
      const stalled = download(options(folder, `${origin}/stall`, { patience: quick }));
      await assert.rejects(stalled, refusal("missing-input", "sent nothing for 0.15 s"));
      const silent = download(options(folder, `${origin}/silent`, { patience: quick }));
      await assert.rejects(silent, refusal("missing-input", "did not answer for 0.15 s"));
    });
    await assert.rejects(download(options(folder, `${origin}/a`)), refusal("missing-input", "after 3 tries"));
  }));

test("download() sends a token to no other host when it is redirected", () =>
  withFolder((folder) =>
    withServer(
      (request, response) => serveBytes(request, response, BYTES),
      (target) =>
        withServer((request, response) => {
          const location = request.path === "/here" ? "/there" : `${target.origin}/file?signature=s`;
          response.writeHead(302, { location }).end("moved");
        }, async ({ origin, seen }) => {
          await download(options(folder, `${origin}/here`, { headers: { authorization: "Bearer secret" } }));
          assertWhole(folder);
          assert.deepEqual(seen.map(({ headers }) => headers["authorization"]), [
            "Bearer secret",
            "Bearer secret",
          ]);
          assert.deepEqual(target.seen.map(({ headers }) => headers["authorization"]), [undefined]);
          const withPassword = `${origin.replace("//", "//user:pass@")}/here`;
          await download(options(folder, withPassword));
          assert.equal(
            seen.at(-1)!.headers["authorization"],
            `Basic ${Buffer.from("user:pass").toString("base64")}`,
          );
          assert.equal(target.seen.at(-1)!.headers["authorization"], undefined);
        }),
    )
  ));

test("download() refuses redirects without end and to other schemes", () =>
  withFolder((folder) =>
    withServer((request, response) => {
      response.writeHead(302, { location: request.path === "/file" ? "file:///etc/passwd" : "/again" }).end();
    }, async ({ origin }) => {
      await assert.rejects(download(options(folder, `${origin}/loop`)), refusal("io", "without end"));
      await assert.rejects(download(options(folder, `${origin}/file`)), refusal("io", "insecure"));
      await assert.rejects(
        download(options(folder, "ftp://host/a")),
        refusal("usage", "only http and https"),
      );
    })
  ));

test("download() never shows a password or a signed address", () =>
  withFolder((folder) =>
    withServer((_, response) => response.writeHead(500).end(), async ({ origin }) => {
      const url = `${origin.replace("//", "//user:hunter2@")}/a?token=hunter3`;
      const error = await download(options(folder, url)).catch((reason) => reason);
      refusal("missing-input", "/a")(error);
      assert.doesNotMatch(String(error.stack) + JSON.stringify(error), /hunter/);
      const dead = await download(options(folder, "http://user:hunter2@127.0.0.1:9/a?token=hunter3")).catch((
        e,
      ) => e);
      refusal("missing-input", "127.0.0.1:9/a")(dead);
      assert.doesNotMatch(String(dead.message), /hunter/);
    })
  ));

test("download() leaves only the part for a later call when aborted", () =>
  withFolder((folder) =>
    withServer((request, response, count) => {
      if (count > 0) return serveBytes(request, response, BYTES);
      response.writeHead(200, { etag: '"one"', "content-length": String(BYTES.length) });
      response.write(BYTES.subarray(0, 100_000));
    }, async ({ origin, seen }) => {
      const controller = new AbortController();
      const reason = new Error("stop");
      const first = download(options(folder, `${origin}/a`, {
        signal: controller.signal,
        onProgress: (done) => done >= 100_000 && controller.abort(reason),
      }));
      await assert.rejects(first, (error) => error === reason);
      assert.deepEqual(readdirSync(folder).sort(), ["file.part", "file.part.json"]);
      await download(options(folder, `${origin}/a`, { sha256: SHA256 }));
      assertWhole(folder);
      assert.equal(seen[1]!.headers["range"], "bytes=100000-");
    })
  ));

test("download() bounds what it writes when the transfer is compressed", () =>
  withFolder((folder) =>
    withServer((request, response) => {
      assert.equal(request.headers["accept-encoding"], "identity");
      const bomb = gzipSync(new Uint8Array(5_000_000));
      response.writeHead(200, { "content-encoding": "gzip", "content-length": String(bomb.length) }).end(
        bomb,
      );
    }, async ({ origin }) => {
      const outcome = download(options(folder, `${origin}/a`, { maxBytes: 1000 }));
      await assert.rejects(outcome, refusal("io", "longer than 1000"));
      assert.ok(!existsSync(join(folder, "file")));
    })
  ));
