// Four values of a row of K or V.
alias KvFour = vec4f;

fn values_of(four: KvFour) -> vec4f {
  return four;
}
