import assert from "node:assert/strict";
import { test } from "node:test";
import { endingOf, EXIT_CODES, Interrupted } from "../../cli/exit_codes.ts";
import { DsError, type FailureKind } from "../../core/errors.ts";

const quiet = new AbortController().signal;

test("endingOf() gives every kind of failure its documented code", () => {
  const documented: Record<FailureKind, number> = {
    usage: 2,
    "quality-gate": 3,
    "bad-data": 65,
    "missing-input": 66,
    "backend-unavailable": 69,
    "out-of-memory": 71,
    "cannot-create": 73,
    io: 74,
    locked: 75,
    "calibration-mismatch": 76,
  };
  assert.deepEqual(EXIT_CODES, documented);
  for (const [kind, code] of Object.entries(documented)) {
    assert.deepEqual(endingOf(new DsError(kind as FailureKind, "why"), quiet), { code, message: "why" });
  }
});

test("endingOf() calls it memory when an engine refuses a buffer", () => {
  for (
    const message of ["Array buffer allocation failed", "Invalid typed array length: 99", "Out of memory"]
  ) {
    assert.equal(endingOf(new RangeError(message), quiet).code, 71, message);
  }
  // What this very engine says.
  assert.throws(() => new Float32Array(2 ** 52), (error) => endingOf(error, quiet).code === 71);
});

test("endingOf() tells refused values from bugs", () => {
  assert.equal(
    endingOf(new RangeError("Cannot sample with a top-p of 2: it must be at most 1"), quiet).code,
    2,
  );
  for (
    const bug of [new RangeError("Maximum call stack size exceeded"), new TypeError("x is undefined"), "text"]
  ) {
    const { code, message } = endingOf(bug, quiet);
    assert.equal(code, 70);
    assert.match(message!, /bug in ds, please report/);
    assert.doesNotMatch(message!, /\n/);
  }
});

test("endingOf() is the interruption's code, in silence, when the signal was aborted", () => {
  const abort = new AbortController();
  abort.abort(new Interrupted(143, "stopped"));
  assert.deepEqual(endingOf(new Error("anything"), abort.signal), { code: 143, message: null });
});
