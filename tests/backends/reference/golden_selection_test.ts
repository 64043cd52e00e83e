import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { IMPORTANCE_TABLE } from "../../../core/importance.ts";
import { golden, missingGolden, testWorkedCases } from "../../support/golden_selection.ts";
import { skip } from "../../support/skip.ts";

test("IMPORTANCE_TABLE is the worked one", (t) => {
  if (golden === null) return skip(t, missingGolden);
  assert.deepEqual([...IMPORTANCE_TABLE], golden.table);
});

testWorkedCases(openReference);
