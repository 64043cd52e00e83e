import { DsError } from "../../core/errors.ts";
import type { FoundGpu } from "./device.ts";
import { Faults } from "./faults.ts";
import type { Abilities } from "./kernels.ts";
import { Queue } from "./queue.ts";

/** Nothing beyond plain WGSL. */
export const PLAIN: Abilities = { subgroups: false, packedDot: false, halves: false };

/** All there is. */
export const ALL: Abilities = { subgroups: true, packedDot: true, halves: true };

/**
 * Which of a device's abilities give right numbers: drivers are known that offer one and return zeros. An ability that is wrong
 * or does not compile is left unused.
 *
 * @param wanted which may be used at all
 * @throws {DsError} kind "backend-unavailable" where even plain kernels are wrong
 */
export async function testAbilities(
  device: GPUDevice,
  { languageFeatures }: FoundGpu,
  wanted: Abilities = ALL,
): Promise<Abilities> {
  if (!await computes(device, PLAIN)) {
    throw new DsError(
      "backend-unavailable",
      'Cannot open backend "webgpu" as the GPU\'s driver computes wrongly: plain sums, dot products and tiles failed their ' +
        "self-test; update the driver or use --backend cpu",
    );
  }
  const subgroups = wanted.subgroups && device.features.has("subgroups" as GPUFeatureName) &&
    await computes(device, { ...PLAIN, subgroups: true });
  const packedDot = wanted.packedDot && languageFeatures.has("packed_4x8_integer_dot_product") &&
    await computes(device, { ...PLAIN, packedDot: true });
  const halves = wanted.halves && device.features.has("shader-f16") &&
    await computes(device, { ...PLAIN, halves: true });
  return { subgroups, packedDot, halves };
}

const THREADS = 64;
const GROUPS = 3;
const RESULT_BYTES = 4 * GROUPS * 4;

/** A sum, a maximum and two dot products of known numbers per workgroup. */
async function computes(device: GPUDevice, abilities: Abilities): Promise<boolean> {
  const faults = new Faults(device);
  const queue = new Queue(device, faults, abilities, null);
  const results = queue.scratch("self-test", RESULT_BYTES);
  try {
    queue.run(queue.kernel("self_test"), [], [results], [GROUPS]);
    const bytes = await queue.read([{ buffer: results, at: 0, bytes: RESULT_BYTES }]);
    const found = new Float32Array(bytes.buffer);
    return Array.from({ length: GROUPS }, (_, group) => expected(group)).flat().every((one, i) =>
      found[i] === one
    );
  } catch {
    return false;
  } finally {
    queue.buffers.give(results);
    queue.buffers.drain();
  }
}

/** What `self_test.wgsl` computes: all whole numbers, so exact in any order. */
function expected(group: number): number[] {
  const values = Array.from({ length: THREADS }, (_, thread) => ((thread * 37 + group * 11) % 64) - 20);
  const sum = values.reduce((total, value) => total + value, 0);
  // Bytes 1, -2, 3, 127 + group and -128, 5, 7 and -1, as signed.
  const dot = 1 * -128 + -2 * 5 + 3 * 7 + (127 - group) * -1;
  let tiled = 0;
  for (let thread = 0; thread < THREADS; thread++) {
    const whole = THREADS - 1 - thread + group;
    tiled += thread * (whole - 2 * whole + 3 * (8 * whole + 1) + whole);
  }
  return [sum, Math.max(...values), dot, tiled];
}
