/** The words through which the main thread hands work to its workers, a cache line apart where both write. */
export const EPOCH = 0;
export const SLEEPERS = 16;
export const STOP = 32;
export const ARENA = 33;
export const LIST = 34;
export const COUNT = 35;
export const ARRIVED_BEFORE = 36;
export const CONTROL_WORDS = 48;

/** What the kernels export. */
export interface KernelExports {
  run(list: number, count: number, thread: number, threads: number, arrivedBefore: number): number;
}

/** What a worker starts with. */
export interface WorkerStart {
  readonly control: Int32Array;
  readonly module: WebAssembly.Module;
  readonly memories: readonly WebAssembly.Memory[];
  readonly thread: number;
  readonly threads: number;
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return instance.exports as unknown as KernelExports;
}
