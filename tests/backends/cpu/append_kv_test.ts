import { openCpu } from "../../../backends/cpu/backend.ts";
import { testKvRounding } from "../../support/kv_rounding.ts";

testKvRounding(() => openCpu({ threads: 1 }));
