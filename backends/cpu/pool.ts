import { Worker } from "node:worker_threads";
import { DsError } from "../../core/errors.ts";
import type { Arena } from "./arena.ts";
import {
  ARENA,
  ARRIVED_BEFORE,
  CONTROL_WORDS,
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

let workerUrl = new URL("./worker.ts", import.meta.url);

/** Tells where the code of the workers is, where it does not lie beside this file. */
export function provideWorker(url: URL): void {
  workerUrl = url;
}

/** The calling thread and its workers, which sleep between lists of commands. */
export class Pool {
  readonly threads: number;
  private readonly control = new Int32Array(
    new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT),
  );
  private readonly module: WebAssembly.Module;
  private readonly instances: (KernelExports | undefined)[];
  private readonly arrived: Int32Array;
  private readonly workers: Worker[] = [];

  /** @param threads in all, the caller's included */
  constructor(module: WebAssembly.Module, arenas: readonly Arena[], threads: number) {
    this.threads = threads;
    this.module = module;
    this.instances = arenas.map(() => undefined);
    this.arrived = new Int32Array(arenas.length);
    const memories = arenas.map(({ memory }) => memory);
    for (let thread = 1; thread < threads; thread++) {
      const workerData: WorkerStart = { control: this.control, module, memories, thread, threads };
      this.workers.push(new Worker(workerUrl, { workerData }));
    }
  }

  /**
   * Waits until every worker listens: `run` would wait for one that cannot start for ever.
   *
   * @throws {DsError} kind "backend-unavailable"
   */
  async started(): Promise<void> {
    const all = this.workers.map((worker) =>
      new Promise<void>((resolve, reject) => {
        worker.once("message", () => resolve());
        // What a kernel throws later comes out of `run`, where someone waits for it.
        worker.on("error", reject);
      })
    );
    try {
      await Promise.all(all);
    } catch (error) {
      throw new DsError(
        "backend-unavailable",
        `Cannot open backend "cpu" with ${this.threads} threads as a worker cannot start: ${
          String(error)
        }; use --threads 1`,
        { cause: error },
      );
    }
    for (const worker of this.workers) worker.unref();
  }

  /** Runs `count` commands that lie at `list` in the arena; done when it returns. */
  run(arena: Arena, list: number, count: number): void {
    const { control, threads } = this;
    const kernels = this.instances[arena.index] ??= instantiate(this.module, arena.memory);
    const before = this.arrived[arena.index];
    if (threads > 1) {
      control[ARENA] = arena.index;
      control[LIST] = list;
      control[COUNT] = count;
      control[ARRIVED_BEFORE] = before;
      Atomics.add(control, EPOCH, 1);
      if (Atomics.load(control, SLEEPERS) > 0) Atomics.notify(control, EPOCH);
    }
    try {
      this.arrived[arena.index] = kernels.run(list, count, 0, threads, before);
    } catch (error) {
      Atomics.store(arena.ints, FAILED / 4, 1);
      throw new Error('Cannot go on as a kernel of backend "cpu" failed: open the backend again', {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    Atomics.store(this.control, STOP, 1);
    Atomics.add(this.control, EPOCH, 1);
    Atomics.notify(this.control, EPOCH);
    await Promise.all(this.workers.splice(0).map((worker) => worker.terminate()));
  }
}
