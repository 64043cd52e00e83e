import { DsError } from "../../core/errors.ts";

/**
 * What went wrong on the device. WebGPU reports every fault later than the call that caused it, so faults are kept here and
 * thrown where results are waited for.
 */
export class Faults {
  private readonly pending = new Set<Promise<void>>();
  private first: Error | null = null;
  /** Reported for itself: what came of another fault is, too, and often before that. */
  private uncaptured: Error | null = null;
  private isClosing = false;

  constructor(device: GPUDevice) {
    device.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      // Else it is printed as well.
      event.preventDefault();
      this.uncaptured ??= new Error(`Cannot run on the GPU: ${error.message}`);
    });
    device.lost.then(({ reason, message }) => {
      if (this.isClosing) return;
      this.first ??= new DsError(
        "backend-unavailable",
        `Cannot go on as the GPU was lost (${reason ?? "unknown"}): ${
          message || "its driver gave no reason"
        }; ` +
          "run again, with a smaller --context or --backend cpu where it happens twice",
      );
    });
  }

  /** The device is about to be destroyed: that it is lost then is no fault. */
  closing(): void {
    this.isClosing = true;
  }

  /** @param describe makes the fault of what an error scope caught; it may take its time */
  watch(scope: Promise<GPUError | null>, describe: (error: GPUError) => Error | Promise<Error>): void {
    const seen = scope
      .then(async (error) => {
        if (error !== null) this.first ??= await describe(error);
      })
      .catch(() => {})
      .finally(() => this.pending.delete(seen));
    this.pending.add(seen);
  }

  /** Waits until every error scope so far has been heard. @throws the first fault */
  async settle(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending);
    this.check();
  }

  /** @throws the first fault heard of */
  check(): void {
    const fault = this.first ?? this.uncaptured;
    if (fault !== null) throw fault;
  }
}
