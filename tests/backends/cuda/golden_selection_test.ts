import { testWorkedCases } from "../../support/golden_selection.ts";
import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";

testWorkedCases(openTestCuda, cudaAbsence());
