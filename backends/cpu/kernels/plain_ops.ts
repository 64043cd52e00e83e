import { add, argmax, gatherRows, swiglu } from "./elementwise";
import { embed } from "./embed";
import { ADD, ARGMAX, EMBED, GATHER_ROWS, RMS_NORM, ROPE, ROUTE_EXPERTS, SWIGLU } from "./ops";
import { rmsNorm } from "./rms_norm";
import { rope } from "./rope";
import { routeExperts } from "./route_experts";

export function plainOp(op: i32, command: usize): void {
  switch (op) {
    case EMBED:
      return embed(command);
    case GATHER_ROWS:
      return gatherRows(command);
    case RMS_NORM:
      return rmsNorm(command);
    case ROPE:
      return rope(command);
    case SWIGLU:
      return swiglu(command);
    case ADD:
      return add(command);
    case ARGMAX:
      return argmax(command);
    case ROUTE_EXPERTS:
      return routeExperts(command);
    default:
      unreachable();
  }
}
