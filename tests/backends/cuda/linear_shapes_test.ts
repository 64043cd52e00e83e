import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { testLinearShapes } from "../../support/linear_shapes.ts";

/** Of more rows tensor cores multiply in f16 or bf16, of these in f32 or as good as that. */
const FEW_ROWS = 64;

testLinearShapes("cuda", openTestCuda, cudaAbsence(), (dtype, R) => {
  if (R <= FEW_ROWS || dtype === "f32") return 2e-6;
  return dtype === "bf16" ? 8e-3 : 8e-4;
});
