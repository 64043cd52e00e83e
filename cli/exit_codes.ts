import { DsError, type FailureKind } from "../core/errors.ts";

/** What the process ends with, by the kind of failure; the numbers follow BSD's sysexits where it has one. */
export const EXIT_CODES: Readonly<Record<FailureKind, number>> = {
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

export const EXIT_OK = 0;
export const EXIT_USAGE = 2;
export const EXIT_BUG = 70;

/** For `--help`. */
export const EXIT_CODE_LINES: readonly string[] = [
  "0 ok · 1 other · 2 usage · 3 quality gate failed · 65 bad data · 66 missing input · 69 backend unavailable",
  "70 bug · 71 out of memory · 73 cannot create output · 74 I/O · 75 locked · 76 calibration of another model",
  "130 Ctrl-C · 143 terminated",
];

/** Why `Terminal.signal` was aborted: a signal, or stdout that takes no more (code 0: its reader has seen enough). */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = "Interrupted";
    this.exitCode = exitCode;
  }
}

/** A failure as the process ends with it. */
export interface Ending {
  readonly code: number;
  /** One sentence for stderr; null where there is nothing to say. */
  readonly message: string | null;
}

const OUT_OF_MEMORY =
  /allocation failed|out of memory|invalid (typed array|array buffer) length|length too large/i;

/** @param signal of the terminal: whatever a command throws after it was aborted is the abort */
export function endingOf(error: unknown, signal: AbortSignal): Ending {
  const interruption = signal.reason instanceof Interrupted ? signal.reason : error;
  if (interruption instanceof Interrupted) {
    const { exitCode, message } = interruption;
    return { code: exitCode, message: exitCode === EXIT_CODES.io ? message : null };
  }
  if (error instanceof DsError) return { code: EXIT_CODES[error.kind], message: error.message };
  if (error instanceof RangeError && OUT_OF_MEMORY.test(error.message)) {
    const advice = "try a smaller --context or model; ds plan tells what is needed";
    return {
      code: EXIT_CODES["out-of-memory"],
      message: `Cannot get the memory this needs: ${error.message}; ${advice}`,
    };
  }
  // The library refuses values out of range in this form; any other RangeError is a fault of its own.
  if (error instanceof RangeError && error.message.startsWith("Cannot ")) {
    return { code: EXIT_USAGE, message: error.message };
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: EXIT_BUG,
    message:
      `This is a bug in ds, please report it with the command that led here (DS_DEBUG=1 shows where): ${what}`,
  };
}
