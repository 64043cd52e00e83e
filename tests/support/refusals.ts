import assert from "node:assert/strict";
import { DsError, type FailureKind } from "../../core/errors.ts";

/** Passes where `action` rejects with a DsError of this kind whose message matches. */
export async function assertRefused(
  action: Promise<unknown> | (() => Promise<unknown>),
  kind: FailureKind,
  message: RegExp,
): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof DsError, `a DsError is needed: found ${error}`);
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  });
}
