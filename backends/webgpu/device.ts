import { DsError } from "../../core/errors.ts";
import { hasVulkanLoader } from "./vulkan_loader.ts";

/** A GPU as found, before anything was asked of it. */
export interface FoundGpu {
  readonly adapter: GPUAdapter;
  readonly languageFeatures: ReadonlySet<string>;
  /** "NVIDIA H200, Dawn (npm webgpu)". */
  readonly name: string;
  readonly isSoftware: boolean;
}

/**
 * The adapter of npm `webgpu` (Dawn), the same on every runtime, or of the runtime's own WebGPU where that package is not
 * installed: every wait for Deno's own costs 12 ms.
 *
 * @param software whether a GPU in software will do
 * @throws {DsError} kind "backend-unavailable", saying what was tried
 */
export async function findGpu(software: boolean): Promise<FoundGpu> {
  if (!hasVulkanLoader()) {
    throw unavailable(
      "this machine has no libvulkan.so.1: install the driver of its GPU and the Vulkan loader (Debian's libvulkan1), or use " +
        "--backend cpu",
    );
  }
  const { gpu, provider } = await findProvider();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) {
    throw unavailable(
      `${provider} finds no GPU: install its driver (on Linux the Vulkan one, and libvulkan1), or use --backend cpu`,
    );
  }
  const { vendor, architecture, description, device } = adapter.info;
  const isSoftware = adapter.info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${vendor} ${architecture} ${description}`);
  const model = description || device || `${vendor} ${architecture}`.trim() || "GPU";
  const name = `${model}, ${provider}${isSoftware ? ", in software" : ""}`;
  if (isSoftware && !software) {
    throw unavailable(
      `there is only ${name}: use --backend cpu, which is faster, or --backend webgpu to have it all the same`,
    );
  }
  // Deno's types do not know it yet.
  const { wgslLanguageFeatures = new Set() } = gpu as { readonly wgslLanguageFeatures?: ReadonlySet<string> };
  return { adapter, name, isSoftware, languageFeatures: wgslLanguageFeatures };
}

/** Features that kernels or benchmarks use where they are offered. */
const WANTED = ["subgroups", "shader-f16", "timestamp-query"] as const;

/**
 * A device with as large buffers as the adapter has.
 *
 * @throws {DsError} kind "backend-unavailable"
 */
export async function openDevice({ adapter, name }: FoundGpu): Promise<GPUDevice> {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const requiredFeatures = WANTED.filter((one) => adapter.features.has(one)) as GPUFeatureName[];
  try {
    return await adapter.requestDevice({
      requiredFeatures,
      requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unavailable(`${name} gives no device (${reason}): update its driver or use --backend cpu`);
  }
}

let providedDawn: (() => unknown) | null = null;

/** Hands over what loads the native part of npm `webgpu` where the package is not installed: in a single executable. Null: it is. */
export function provideDawn(load: (() => unknown) | null): void {
  providedDawn = load;
}

/**
 * No kernel here reads workgroup memory before it has written it. To fill that with zeros anyway is what a GPU in software spends most of
 * its time on.
 */
const DAWN_OPTIONS: string[] = ["enable-dawn-features=disable_workgroup_init"];

async function findProvider(): Promise<{ gpu: GPU; provider: string }> {
  let absence: string;
  try {
    const { create } = providedDawn === null
      ? await import("webgpu")
      : providedDawn() as typeof import("webgpu");
    return { gpu: dawn ??= create(DAWN_OPTIONS) as GPU, provider: "Dawn (npm webgpu)" };
  } catch (error) {
    absence = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  }
  const own = globalThis.navigator?.gpu;
  if (own !== undefined) return { gpu: own, provider: "this runtime's own WebGPU" };
  throw unavailable(
    `the package webgpu cannot be loaded (${absence}) and this runtime has no WebGPU of its own: ` +
      "install its packages again, or use --backend cpu",
  );
}

/** Dawn's objects must not outlive it, so it is kept for as long as the process. */
let dawn: GPU | null = null;

function unavailable(reason: string): DsError {
  return new DsError("backend-unavailable", `Cannot open backend "webgpu" as ${reason}`);
}
