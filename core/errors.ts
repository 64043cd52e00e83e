/** Why a request was refused. `cli/exit_codes.ts` turns each kind into the documented exit code. */
export type FailureKind =
  | "usage"
  | "quality-gate"
  | "bad-data"
  | "missing-input"
  | "backend-unavailable"
  | "out-of-memory"
  | "cannot-create"
  | "io"
  | "locked"
  | "calibration-mismatch";

/**
 * A refusal a caller may want to catch. The message is one sentence that ends the search: what was attempted,
 * what was needed, what was found and what fixes it. Misuse of an API throws `TypeError` or `RangeError` instead.
 */
export class DsError extends Error {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DsError";
    this.kind = kind;
  }
}

/** A file whose content cannot be what it claims to be (exit 65). */
export function badData(file: string, reason: string): DsError {
  return new DsError("bad-data", `Cannot read ${file}: ${reason}`);
}
