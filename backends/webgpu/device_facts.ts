import type { FoundGpu } from "./device.ts";
import type { Abilities } from "./kernels.ts";

const MB = 1e6;

/** What `ds doctor` prints of a GPU: its limits, what it offers, and what of that passed the self-test. */
export function deviceFacts(
  { adapter: { limits, features }, languageFeatures }: FoundGpu,
  { subgroups, packedDot }: Abilities,
): Record<string, string> {
  const offered = (name: string, isOffered: boolean, isUsed: boolean) =>
    `${name}: ${
      isOffered
        ? isUsed ? "used, self-test passed" : "offered but wrong in its self-test, not used"
        : "not offered"
    }`;
  return {
    limits: [
      `buffers of ${Math.floor(limits.maxBufferSize / MB)} MB`,
      `bindings of ${Math.floor(limits.maxStorageBufferBindingSize / MB)} MB`,
      `${limits.maxStorageBuffersPerShaderStage} storage buffers`,
      `${limits.maxComputeInvocationsPerWorkgroup} threads and ${limits.maxComputeWorkgroupStorageSize} bytes a workgroup`,
    ].join(", "),
    features: [
      offered("subgroups", features.has("subgroups" as GPUFeatureName), subgroups),
      offered("packed dot products", languageFeatures.has("packed_4x8_integer_dot_product"), packedDot),
      `timestamps: ${features.has("timestamp-query") ? "offered" : "not offered"}`,
    ].join("; "),
  };
}
