import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { testKvRounding } from "../../support/kv_rounding.ts";
import { useTestGpu } from "../../support/webgpu.ts";

testKvRounding(openWebGpu, useTestGpu());
