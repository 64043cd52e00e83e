import type { FoundGpu } from "./device.ts";
import type { Abilities } from "./kernels.ts";

const MB = 1e6;

/**
 * What `ds doctor` prints of a GPU: its limits, what it offers, and what of that is used.
 *
 * @param wanted which abilities were to be used
 * @param abilities which of them passed the self-test
 */
export function deviceFacts(
  { adapter: { limits, features }, languageFeatures }: FoundGpu,
  wanted: Abilities,
  abilities: Abilities,
): Record<string, string> {
  const offered = (name: string, isOffered: boolean, ability: keyof Abilities) => {
    if (!isOffered) return `${name}: not offered`;
    if (!wanted[ability]) return `${name}: offered, not wanted`;
    return `${name}: ${
      abilities[ability] ? "used, self-test passed" : "offered but wrong in its self-test, not used"
    }`;
  };
  return {
    limits: [
      `buffers of ${Math.floor(limits.maxBufferSize / MB)} MB`,
      `bindings of ${Math.floor(limits.maxStorageBufferBindingSize / MB)} MB`,
      `${limits.maxStorageBuffersPerShaderStage} storage buffers`,
      `${limits.maxComputeInvocationsPerWorkgroup} threads and ${limits.maxComputeWorkgroupStorageSize} bytes a workgroup`,
    ].join(", "),
    features: [
      offered("subgroups", features.has("subgroups" as GPUFeatureName), "subgroups"),
      offered("packed dot products", languageFeatures.has("packed_4x8_integer_dot_product"), "packedDot"),
      offered("tiles in half precision", features.has("shader-f16"), "halves"),
      `timestamps: ${features.has("timestamp-query") ? "offered" : "not offered"}`,
    ].join("; "),
  };
}
