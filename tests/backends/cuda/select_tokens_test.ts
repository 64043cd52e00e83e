import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { testSelections } from "../../support/select_cases.ts";

testSelections("cuda", openTestCuda, cudaAbsence());
