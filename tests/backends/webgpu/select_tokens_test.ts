import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { testSelections } from "../../support/select_cases.ts";
import { useTestGpu } from "../../support/webgpu.ts";

testSelections("webgpu", openWebGpu, useTestGpu());
