// Workgroups of a grid of any number of items, spread over two dimensions.
fn item(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}
