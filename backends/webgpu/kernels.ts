import type { Faults } from "./faults.ts";
import { composeShader, type Constants, sourceAround } from "./shaders.ts";

/** A compiled kernel. */
export interface Kernel {
  readonly id: number;
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** What a device computes rightly beyond plain WGSL: each has passed its self-test. */
export interface Abilities {
  /** Subgroup sums and maxima. */
  readonly subgroups: boolean;
  /** dot4I8Packed and the like. */
  readonly packedDot: boolean;
  /** Tiles in workgroup memory of f16: what is multiplied is rounded to 11 bits, sums stay f32. */
  readonly halves: boolean;
}

/** Compiles kernels, each for its constants, once. */
export class Kernels {
  private readonly device: GPUDevice;
  private readonly faults: Faults;
  private readonly variants: Readonly<Record<string, string>>;
  private readonly extensions: readonly string[];
  private readonly known = new Map<string, Kernel>();

  constructor(device: GPUDevice, faults: Faults, { subgroups, packedDot, halves }: Abilities) {
    this.device = device;
    this.faults = faults;
    this.variants = {
      ...(subgroups && { reduce: "reduce_subgroups" }),
      ...(packedDot && { dot: "dot_packed" }),
      ...(halves && { tile_quad: "tile_quad_half" }),
    };
    this.extensions = [...(subgroups ? ["subgroups"] : []), ...(halves ? ["f16"] : [])];
  }

  /**
   * The kernel of `kernels/<name>.wgsl`, entry point `main`, for these constants.
   *
   * @param variants files to take for others that it uses: { weight: "weight_q8_0" }
   */
  get(name: string, constants: Constants = {}, variants: Readonly<Record<string, string>> = {}): Kernel {
    const key = `${name} ${Object.values(constants).join()} ${Object.values(variants).join()}`;
    let kernel = this.known.get(key);
    if (kernel === undefined) this.known.set(key, kernel = this.compile(name, constants, variants));
    return kernel;
  }

  private compile(name: string, constants: Constants, variants: Readonly<Record<string, string>>): Kernel {
    const { device } = this;
    const code = composeShader(name, constants, { ...this.variants, ...variants }, this.extensions);
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: name, code });
    const pipeline = device.createComputePipeline({
      label: name,
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    const layout = pipeline.getBindGroupLayout(0);
    this.faults.watch(device.popErrorScope(), async (error) => {
      const { messages } = await module.getCompilationInfo();
      const fault = messages.find(({ type }) => type === "error");
      const where = fault === undefined ? "" : `\n${sourceAround(code, fault.lineNum)}`;
      return new Error(
        `Cannot compile the shader ${name}.wgsl: ${fault?.message ?? error.message}${where}`,
      );
    });
    return { id: this.known.size, name, pipeline, layout };
  }
}
