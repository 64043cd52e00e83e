/** Asked after `demoNovel`: the answer stands near the middle of the passage ("ORANGE MARMALADE"). */
export const demoQuestion = "What was written on the label of the jar that Alice took from the shelf?";
