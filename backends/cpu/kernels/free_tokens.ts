/**
 * What a set still has to choose beside its forced tokens: `wanted` of the tokens from `first` below `end`; all of the
 * kvLen tokens where `isWhole`, and then nothing else counts.
 */
export class FreeTokens {
  @inline
  static first(kvLen: i32, sinks: i32): i32 {
    return min(sinks, kvLen);
  }

  @inline
  static end(kvLen: i32, sinks: i32, recents: i32): i32 {
    return max(FreeTokens.first(kvLen, sinks), kvLen - 1 - recents);
  }

  /** How many of the tokens first..end are wanted; 0 or less: none. Never all of them where k < kvLen. */
  @inline
  static wanted(kvLen: i32, sinks: i32, recents: i32, k: i32): i32 {
    return k - kvLen + FreeTokens.end(kvLen, sinks, recents) - FreeTokens.first(kvLen, sinks);
  }
}
