/** The entry of a worker: does its part of every list of commands until told to stop. */
import { parentPort, workerData } from "node:worker_threads";
import {
  ARENA,
  ARRIVED_BEFORE,
  COUNT,
  EPOCH,
  instantiate,
  type KernelExports,
  LIST,
  SLEEPERS,
  STOP,
  type WorkerStart,
} from "./control.ts";
import { FAILED } from "./kernels/ops.ts";

/** Looks at the epoch before going to sleep: some 50 microseconds, what comes between two lists of one step. */
const SPINS = 20000;

/** Returns when told to stop, or after a kernel failed, which every other thread is then told. */
function serve({ control, module, memories, thread, threads }: WorkerStart): void {
  const instances: (KernelExports | undefined)[] = memories.map(() => undefined);
  let seen = 0;
  while (true) {
    seen = nextEpoch(control, seen);
    if (Atomics.load(control, STOP) !== 0) return;
    const arena = control[ARENA];
    try {
      const kernels = instances[arena] ??= instantiate(module, memories[arena]);
      kernels.run(control[LIST], control[COUNT], thread, threads, control[ARRIVED_BEFORE]);
    } catch (error) {
      Atomics.store(new Int32Array(memories[arena].buffer), FAILED / 4, 1);
      throw error;
    }
  }
}

function nextEpoch(control: Int32Array, seen: number): number {
  for (let spins = 0; spins < SPINS; spins++) {
    const epoch = Atomics.load(control, EPOCH);
    if (epoch !== seen) return epoch;
  }
  Atomics.add(control, SLEEPERS, 1);
  Atomics.wait(control, EPOCH, seen);
  Atomics.sub(control, SLEEPERS, 1);
  return Atomics.load(control, EPOCH);
}

parentPort?.postMessage("listening");
serve(workerData);
