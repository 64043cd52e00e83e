import type { Backend, Tensor } from "../backend.ts";
import { DsError } from "../errors.ts";
import { bytesOfArray, tensorOf } from "../tensor_io.ts";
import { percentile, timeInterleaved, type Timing, type TimingOptions } from "./timing.ts";

/** How fast a device copies. */
export interface Ceiling extends Timing {
  /** Bytes read and written by one copy. */
  readonly bytes: number;
  /** Of the median copy. */
  readonly gigabytesPerSecond: number;
}

/** 256 MiB: beyond any cache but the largest. */
export const CEILING_BYTES = 2 ** 28;
const COLUMNS = 1024;
const PIECE_ROWS = 4096;

/**
 * The bandwidth that steps are held against: `gatherRows` with the identity as indices moves a tensor of `size` bytes
 * into another of that size, and the bytes **read and written are both counted**. So 100% can be reached: whatever a
 * device's memory carries in both directions, a kernel that only reads may have all of it. Reading can even come
 * cheaper than copying (a processor's cache fetches a line before it overwrites it), so a good kernel may show
 * somewhat more than 100%; a lot more means that a cache answered.
 *
 * Takes twice `size` on the device.
 */
export async function measureCeiling(
  backend: Backend,
  options: Omit<TimingOptions, "leastSamples">,
  size: number = CEILING_BYTES,
): Promise<Ceiling> {
  const rows = Math.max(1, Math.floor(size / (4 * COLUMNS)));
  const owned: Tensor[] = [];
  const alloc = () => {
    const tensor = backend.alloc({ dtype: "f32", shape: [rows, COLUMNS] });
    owned.push(tensor);
    return tensor;
  };
  try {
    const source = alloc();
    const target = alloc();
    // Pages that were never written may all be one page of zeros, which a cache holds.
    const piece = new Float32Array(Math.min(rows, PIECE_ROWS) * COLUMNS).fill(1);
    for (let row = 0; row < rows; row += PIECE_ROWS) {
      const count = Math.min(PIECE_ROWS, rows - row);
      backend.upload(source, bytesOfArray(piece.subarray(0, count * COLUMNS)), row * COLUMNS * 4);
    }
    const indices = tensorOf(backend, Int32Array.from({ length: rows }, (_, row) => row), [rows]);
    owned.push(indices);
    const copy = {
      name: "copy",
      run: async (repeats: number) => {
        for (let i = 0; i < repeats; i++) backend.gatherRows(target, source, indices);
        backend.submit();
        await backend.download(target, 0, COLUMNS * 4);
      },
    };
    const [timing] = await timeInterleaved([copy], { ...options, leastSamples: 3, clock: backend.clock });
    const bytes = 2 * rows * COLUMNS * 4;
    const medianUs = percentile(timing!.samplesUs, 0.5);
    if (!(medianUs > 0)) {
      throw new DsError("io", `Cannot measure the copy bandwidth of ${backend.name}: the clock did not move`);
    }
    return { ...timing!, bytes, gigabytesPerSecond: bytes / medianUs / 1000 };
  } finally {
    for (const tensor of owned) backend.free(tensor);
  }
}
