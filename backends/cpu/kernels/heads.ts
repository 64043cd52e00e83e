/**
 * Numbers of heads, and whether a sum is made, as types: a function instantiated for each keeps them out of its loops, where
 * the optimiser folds calls that differ in a constant alone back into one.
 */
export type One = (a: i32) => void;
export type Two = (a: i32, b: i32) => void;
export type Three = (a: i32, b: i32, c: i32) => void;
export type Four = (a: i32, b: i32, c: i32, d: i32) => void;
export type No = () => void;
export type Yes = One;
