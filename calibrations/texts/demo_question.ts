/** Asked after `demoNovel`: the answer stands near its beginning, thousands of tokens before the question. */
export const demoQuestion = "What is the name of the house that Mr. Bingley has taken?";
