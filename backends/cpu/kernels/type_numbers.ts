/**
 * Numbers of heads, kinds of dots (DOT_* of `ops.ts`) and yes or no as types, read by `lengthof`: a function instantiated for
 * each keeps them out of its loops, where the optimiser folds calls that differ in a constant alone back into one.
 */
export type One = (a: i32) => void;
export type Two = (a: i32, b: i32) => void;
export type Three = (a: i32, b: i32, c: i32) => void;
export type Four = (a: i32, b: i32, c: i32, d: i32) => void;
export type No = () => void;
export type Yes = One;
