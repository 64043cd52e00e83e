import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { testLinearShapes } from "../../support/linear_shapes.ts";
import { useTestGpu } from "../../support/webgpu.ts";

testLinearShapes("webgpu", () => openWebGpu({ halves: false }), useTestGpu(), () => 2e-6);
