import { DsError } from "../../core/errors.ts";
import type { FoundGpu } from "./device.ts";
import { Faults } from "./faults.ts";
import type { Abilities } from "./kernels.ts";
import { Queue } from "./queue.ts";

/** Nothing beyond plain WGSL. */
export const PLAIN: Abilities = { subgroups: false, packedDot: false };

/**
 * Which of a device's abilities give right numbers: drivers are known that offer one and return zeros. An ability that is wrong
 * or does not compile is left unused.
 *
 * @throws {DsError} kind "backend-unavailable" where even plain kernels are wrong
 */
export async function testAbilities(device: GPUDevice, { languageFeatures }: FoundGpu): Promise<Abilities> {
  if (!await computes(device, PLAIN)) {
    throw new DsError(
      "backend-unavailable",
      'Cannot open backend "webgpu" as the GPU\'s driver computes wrongly: plain sums and integer dot products failed their ' +
        "self-test; update the driver or use --backend cpu",
    );
  }
  const subgroups = device.features.has("subgroups" as GPUFeatureName) &&
    await computes(device, { ...PLAIN, subgroups: true });
  const packedDot = languageFeatures.has("packed_4x8_integer_dot_product") &&
    await computes(device, { ...PLAIN, packedDot: true });
  return { subgroups, packedDot };
}

const THREADS = 64;
const GROUPS = 3;

/** A sum, a maximum and a dot product of known numbers per workgroup. */
async function computes(device: GPUDevice, abilities: Abilities): Promise<boolean> {
  const faults = new Faults(device);
  const queue = new Queue(device, faults, abilities, null);
  const results = queue.scratch("self-test", 3 * GROUPS * 4);
  try {
    queue.run(queue.kernel("self_test"), [], [results], [GROUPS]);
    const bytes = await queue.read([{ buffer: results, at: 0, bytes: 3 * GROUPS * 4 }]);
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
  return [sum, Math.max(...values), dot];
}
