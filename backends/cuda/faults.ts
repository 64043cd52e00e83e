import { DsError } from "../../core/errors.ts";

/** ds_status of `native/ds.h`. */
export const STATUS = { ok: 0, invalid: 1, outOfMemory: 2, unavailable: 3, failed: 4, stale: 5 } as const;

/** What is recorded names memory that has moved, or that has yet to be made: it must be run and recorded anew. */
export class StaleRecording extends Error {}

/** The error of a status other than ok. @param text what `ds_last_error` says of it, one sentence */
export function faultOf(status: number, text: string): Error {
  switch (status) {
    case STATUS.invalid:
      return new RangeError(text);
    case STATUS.outOfMemory:
      return new DsError(
        "out-of-memory",
        `${text}; use a smaller --context, a smaller model or --backend cpu`,
      );
    case STATUS.unavailable:
      return unavailable(`its library says: ${text}`);
    case STATUS.stale:
      return new StaleRecording(text);
    default:
      return new DsError(
        "backend-unavailable",
        `Cannot go on as the GPU failed: ${text}; run again, with a smaller --context or --backend cpu where it happens twice`,
      );
  }
}

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof DsError && error.kind === "out-of-memory";
}

export function unavailable(reason: string): DsError {
  return new DsError("backend-unavailable", `Cannot open backend "cuda" as ${reason}`);
}
