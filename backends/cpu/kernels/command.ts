import { ARGUMENTS } from "./ops";

/** The next unit of work of a command that no thread has taken. */
export function claim(command: usize): i32 {
  return atomic.add<i32>(command + 4, 1);
}

export function int(command: usize, index: i32): i32 {
  return load<i32>(command + ARGUMENTS + (<usize> index << 2));
}

export function address(command: usize, index: i32): usize {
  return load<u32>(command + ARGUMENTS + (<usize> index << 2));
}

export function float(command: usize, index: i32): f32 {
  return load<f32>(command + ARGUMENTS + (<usize> index << 2));
}
