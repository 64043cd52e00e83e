// Four values of a row of K or V, f16.
alias KvFour = vec2u;

fn values_of(four: KvFour) -> vec4f {
  return vec4f(unpack2x16float(four.x), unpack2x16float(four.y));
}
