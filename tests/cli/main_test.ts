import assert from "node:assert/strict";
import { test } from "node:test";
import { VERSION } from "../../core/version.ts";
import { ds } from "./fake_process.ts";

test("main() prints help to stderr and ends with 2 when no command is given", async () => {
  const { code, out, err } = await ds([]);
  assert.equal(code, 2);
  assert.equal(out, "");
  assert.match(err, /Usage: ds COMMAND/);
});

test("main() prints help and version to stdout", async () => {
  const help = await ds(["--help"]);
  assert.equal(help.code, 0);
  for (
    const name of [
      "run",
      "calibrate",
      "bench",
      "eval",
      "inspect",
      "plan",
      "doctor",
      "pull",
      "export",
      "completions",
    ]
  ) {
    assert.match(help.out, new RegExp(`^ {2}${name} `, "m"));
  }
  assert.match(help.out.replace(/\s+/g, " "), /Exit codes: 0 ok .* 76 .* 130 Ctrl-C · 143 terminated/);
  assert.deepEqual(await ds(["--version"]), { code: 0, out: `${VERSION}\n`, err: "" });
});

test("main() colours help only where colours are wanted", async () => {
  // deno-lint-ignore no-control-regex
  const escape = /\x1b\[/;
  assert.doesNotMatch((await ds(["--help"])).out, escape);
  assert.match((await ds(["--help"], { stdoutIsTty: true })).out, escape);
  assert.doesNotMatch(
    (await ds(["--help"], { stdoutIsTty: true, environment: { NO_COLOR: "1" } })).out,
    escape,
  );
  assert.doesNotMatch(
    (await ds(["--help"], { stdoutIsTty: true, environment: { TERM: "dumb" } })).out,
    escape,
  );
  assert.match((await ds(["--help"], { environment: { FORCE_COLOR: "1" } })).out, escape);
});

test("main() shows where an error came from only with DS_DEBUG", async () => {
  const argv = ["inspect", "no-such-thing"];
  assert.doesNotMatch((await ds(argv)).err, /\n\s+at /);
  assert.match((await ds(argv, { environment: { DS_DEBUG: "1" } })).err, /\n.*at |@/);
});
