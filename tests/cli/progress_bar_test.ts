import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesText, digits, duration, grouped, percent } from "../../cli/numbers.ts";
import { ProgressBar, progressLine } from "../../cli/progress_bar.ts";
import { table } from "../../cli/table.ts";

test("progressLine() shows share, amounts, rate and time left", () => {
  assert.equal(
    progressLine("Getting", 25e6, 100e6, "bytes", 5),
    "Getting [######                  ]  25 %  25 MB of 100 MB  5 MB/s  15 s left",
  );
  assert.equal(
    progressLine("Reading", 0, 2000, "tokens", 0),
    "Reading [                        ]   0 %  0 of 2,000 tokens",
  );
  assert.equal(
    progressLine("Reading the prompt", 1024, 4403, "tokens", 4),
    "Reading the prompt [######                  ]  23 %  1,024 of 4,403 tokens  256 tokens/s  14 s left",
  );
  assert.equal(progressLine("Getting", 25e6, 0, "bytes", 5), "Getting  25 MB  5 MB/s");
});

test("ProgressBar.update() stays inside any terminal and end() removes the line", () => {
  for (const columns of [undefined, 0, 1, 2, 20]) {
    let written = "";
    const sink = {
      isTty: true,
      columns,
      write: (text: string) => {
        written += text;
      },
      drained: () => Promise.resolve(),
      onFailure: () => {},
    };
    const bar = new ProgressBar(sink, "Reading", 100, "tokens");
    bar.update(50);
    // deno-lint-ignore no-control-regex
    const line = /^\r(.*)\x1b\[K$/.exec(written)![1]!;
    assert.ok(line.length <= Math.max((columns || 80) - 1, 1), `${columns}: ${line}`);
    bar.end();
    assert.ok(written.endsWith("\r\x1b[K"));
    const before = written;
    bar.update(100);
    assert.equal(written, before);
  }
});

test("numbers read the same in every locale", () => {
  assert.equal(bytesText(98_362_432), "98.4 MB");
  assert.equal(bytesText(999), "999 B");
  assert.equal(bytesText(999_900), "1 MB");
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(digits(0.00031, 2), "0.00031");
  assert.equal(duration(3725), "1 h 2 min");
  assert.equal(percent(0.9231), "92.3 %");
});

test("table() aligns numbers to the right and words to the left", () => {
  assert.equal(
    table(["name", "n"], [["a", "5"], ["long name", "100"]]),
    "name         n\na            5\nlong name  100\n",
  );
});
