/**
 * While something is waited for, Dawn asks the GPU how far it is as often as the event loop turns, by `setImmediate`: some 50,000
 * times a second, each time with a new function. That takes a core from whoever could use it, a GPU in software above all, and Deno,
 * whose collector is slow to bury such functions, stands still for a minute now and then. Dawn looks `setImmediate` up anew each time, so that a
 * wait can space its questions: by a twentieth of the time it has taken so far.
 */
const PAUSE_SHARE = 1 / 20;
/** No pause is shorter than some 0.1 ms. */
const EAGER_MS = 0.5;
const MOST_PAUSE_MS = 50;

const never = new Int32Array(new SharedArrayBuffer(4));
let waits = 0;
let original: typeof setImmediate | undefined;

/** Waits for `work`, which Dawn brings about. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  if (waits++ === 0) slowDown();
  try {
    return await work();
  } finally {
    if (--waits === 0) restore();
  }
}

function slowDown(): void {
  const immediately = original = globalThis.setImmediate;
  if (immediately === undefined) return;
  const started = performance.now();
  const paced = (callback: (...all: unknown[]) => void, ...values: unknown[]) => {
    const elapsed = performance.now() - started;
    const pause = Math.min(elapsed * PAUSE_SHARE, MOST_PAUSE_MS);
    if (pause >= 1) return setTimeout(callback, pause, ...values);
    // No timer is as short.
    if (elapsed > EAGER_MS) Atomics.wait(never, 0, 0, pause);
    return immediately(callback, ...values);
  };
  globalThis.setImmediate = paced as typeof setImmediate;
}

function restore(): void {
  if (original !== undefined) globalThis.setImmediate = original;
}
