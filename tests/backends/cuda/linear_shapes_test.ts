import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { testLinearShapes } from "../../support/linear_shapes.ts";

/** From more rows on tensor cores multiply, in f16 or bf16. */
const FEW_ROWS = 8;

testLinearShapes("cuda", openTestCuda, cudaAbsence(), (dtype, R) => {
  if (R <= FEW_ROWS || dtype === "f32") return 2e-6;
  return dtype === "bf16" ? 8e-3 : 8e-4;
});
