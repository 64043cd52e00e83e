import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { testWorkedCases } from "../../support/golden_selection.ts";
import { useTestGpu } from "../../support/webgpu.ts";

testWorkedCases(openWebGpu, useTestGpu());
