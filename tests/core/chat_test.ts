import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ChatMessage, encodeChat, renderChat, type RenderOptions } from "../../core/chat.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { openTokenizer } from "../../core/tokenizer/open.ts";
import { diskFiles } from "../../runtime/files.ts";
import { MISSING_MODEL, realModelPath } from "../support/real_model.ts";
import { assertRefused } from "../support/refusals.ts";
import { missingShared, sharedJson, sharedPath } from "../support/shared_data.ts";
import { ggufByteLevel } from "../support/small_tokenizers.ts";
import { skip } from "../support/skip.ts";

const NO_TOKENS = { bosToken: null, eosToken: null };
const HELLO: ChatMessage[] = [{ role: "user", content: "hello" }];
const TURNS = "{% for m in messages %}<|user|>{{ m.role }}:{{ m.content }}<|end|>{% endfor %}";
const GOLDEN = "golden/smollm2-chat.json";

const render = (
  template: string,
  messages: readonly ChatMessage[] = HELLO,
  options: Partial<RenderOptions> = {},
) => renderChat(template, messages, { ...NO_TOKENS, ...options });

test("renderChat() gives the golden text when the template is SmolLM2's", (t) => {
  if (sharedPath(GOLDEN) === null) return skip(t, missingShared(GOLDEN));
  const { chatTemplate, bosToken, eosToken, cases } = sharedJson(GOLDEN);
  for (const { messages, addGenerationPrompt, text } of cases) {
    assert.equal(renderChat(chatTemplate, messages, { bosToken, eosToken, addGenerationPrompt }), text);
  }
});

test("encodeChat() gives the golden ids when the model is SmolLM2", async (t) => {
  const model = realModelPath();
  if (model === null) return skip(t, MISSING_MODEL);
  if (sharedPath(GOLDEN) === null) return skip(t, missingShared(GOLDEN));
  const checkpoint = await openCheckpoint(diskFiles, model);
  const tokenizer = openTokenizer(checkpoint.tokenizer!);
  await checkpoint.close();
  const { chatTemplate, bosToken, eosToken, cases } = sharedJson(GOLDEN);
  assert.deepEqual([checkpoint.chatTemplate, tokenizer.bosToken, tokenizer.eosToken], [
    chatTemplate,
    bosToken,
    eosToken,
  ]);
  for (const { messages, addGenerationPrompt, ids } of cases) {
    assert.deepEqual(encodeChat(tokenizer, chatTemplate, messages, { addGenerationPrompt }), ids);
  }
});

test("renderChat() keeps and drops white space as transformers does when blocks stand on their own lines", () => {
  const template =
    "  {% if true %}\n  a\n  {%- endif %}\n\n\t{# c #}\n{% for m in messages %}\n  * {{ m.content }}\n{% endfor %}\nend\n\n";
  assert.equal(render(template), "  a\n  * hello\nend\n");
});

test("renderChat() writes values as Python does when a template prints them", () => {
  const template =
    "{{ true }} {{ none }} {{ undefined_name }} {{ 1.0 }} {{ 'a' ~ false }} {{ [1, 'b', \"it's\", none] }} {{ {'k': true} }}";
  assert.equal(render(template), `True None  1.0 aFalse [1, 'b', "it's", None] {'k': True}`);
  assert.equal(render("{{ messages[0] | tojson }}"), '{"role": "user", "content": "hello"}');
  assert.equal(render("{{ messages | string }}"), "[{'role': 'user', 'content': 'hello'}]");
});

test("renderChat() gives templates their variables when they ask for them", () => {
  const now = new Date(2024, 6, 5, 13, 4, 9);
  assert.equal(
    render("{{ strftime_now('%d %b %Y %H:%M:%S %A %j%%') }}", HELLO, { now }),
    "05 Jul 2024 13:04:09 Friday %j%",
  );
  assert.equal(
    render("{{ bos_token }}|{{ eos_token }}|{{ tools is none }}", HELLO, { bosToken: "<s>" }),
    "<s>||True",
  );
  assert.equal(
    render("{{ tools[0].name }}{{ add_generation_prompt }}", HELLO, {
      tools: [{ name: "f" }],
      addGenerationPrompt: true,
    }),
    "fTrue",
  );
  assert.equal(render("{{ think }}", HELLO, { variables: { think: "no" } }), "no");
  assert.equal(render("{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}"), "531");
});

test("renderChat() counts a missing attribute as undefined when messages are selected by it", () => {
  const messages = [{ role: "user", content: "a" }, { role: "assistant", content: "b", tool_calls: [1] }];
  assert.equal(
    render(
      "{{ messages | selectattr('tool_calls', 'undefined') | map(attribute='content') | join }}",
      messages,
    ),
    "a",
  );
  assert.equal(
    render("{{ messages | rejectattr('tool_calls') | map(attribute='content') | join }}", messages),
    "a",
  );
  assert.equal(
    render("{{ (messages | selectattr('role', 'equalto', 'assistant') | list)[0].content }}", messages),
    "b",
  );
});

test("renderChat() refuses with what the template says when it raises an exception", async () => {
  const raise = () => Promise.resolve().then(() => render("{{ raise_exception('roles must alternate') }}"));
  await assertRefused(raise, "bad-data", /the chat template refuses it: "roles must alternate"/);
});

test("renderChat() stops in bounded time when a template is hostile", async () => {
  const grown = "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(40) %}";
  const long =
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(18) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
  const templates: Record<string, RegExp> = {
    "{% for i in range(1000000) %}{% endfor %}": /too many steps/,
    "{% for i in range(3000) %}{% for j in range(3000) %}x{% endfor %}{% endfor %}": /too many steps/,
    "{{ range(1000000000000) }}": /range\(\) has more than/,
    "{{ range(0.5) }}": /whole numbers/,
    [grown + "{% set ns.x = ns.x + ns.x %}{% endfor %}"]: /more than \d+ characters/,
    [grown + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}"]: /more than \d+ characters/,
    [grown + "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}"]: /more than \d+ characters/,
    [grown + "{% set ns.x = ns.x['rep' + 'lace']('a', ns.x) %}{% endfor %}"]: /more than \d+ characters/,
    [grown + "{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}"]: /more than \d+ characters/,
    [grown + "{% set ns.x = ns.x | join(ns.x) %}{% endfor %}"]: /more than \d+ characters/,
    [long + "{% for i in range(100000) %}{% if 'b' in ns.x %}1{% endif %}{% endfor %}"]: /too many steps/,
    [long + "{% for i in range(100000) %}{{ ns.x }}{% endfor %}"]: /too many steps|more than \d+ characters/,
    "{{ 'a' | indent(1000000000, true) }}": /indents by more/,
    "{{ 'a' | indent(*[1000000000, true]) }}": /indents by more/,
    "{% filter indent(1000000000, true) %}a{% endfilter %}": /indents by more/,
    "{{ messages | tojson(indent=1000000000) }}": /indents by more/,
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}": /too deeply/,
    "{% macro f(x) %}{% if x %}{{ f(x - 1) }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(60) }}":
      /too many steps/,
    "{% set a = namespace(x=1) %}{{ [a, a] }}": /namespace into a list/,
    "{% set a = namespace(x=1) %}{% set a.x = a %}{{ a | tojson }}": /namespace into a namespace/,
    [`{{ ${"(".repeat(40_000)}1${")".repeat(40_000)} }}`]: /too deeply/,
    ["{% if true %}".repeat(9000)]: /too deeply|not one that ds understands/,
    [" ".repeat(100_000)]: /blanks in a row/,
    ["x".repeat(200_000)]: /200000 characters/,
    "{% for %}": /not one that ds understands/,
    "{{ 'unfinished": /not one that ds understands/,
    "{{ 1 | no_such_filter }}": /no_such_filter/,
    "{{ ''.constructor.constructor('return 1')() }}": /not a function/,
  };
  for (const [template, message] of Object.entries(templates)) {
    const started = performance.now();
    await assertRefused(() => Promise.resolve().then(() => render(template)), "bad-data", message);
    assert.ok(performance.now() - started < 10_000, template.slice(0, 80));
  }
});

test("renderChat() bears a long conversation when a usual template goes through it", () => {
  const messages = Array.from(
    { length: 400 },
    (_, i) => ({ role: i % 2 ? "assistant" : "user", content: "word ".repeat(1000) }),
  );
  const template =
    "{%- for m in messages -%}{%- if messages | length > 3 and (m.role == 'user') != (loop.index0 % 2 == 0) -%}" +
    "{{ raise_exception('no') }}{%- endif -%}{%- if m.content is string and not loop.last -%}{% set c = m['content'] | trim %}" +
    "{{ '[' + m.role + ']' + c.replace('w', 'W') + '\\n' }}{%- endif -%}{%- endfor -%}";
  assert.equal(render(template, messages).split("\n").length, 400);
});

test("encodeChat() equals the rendered text's ids when no message spells a special token", () => {
  const tokenizer = openTokenizer(ggufByteLevel());
  const message = fc.record({
    role: fc.constantFrom("user", "assistant"),
    content: fc.string({ unit: "binary", maxLength: 30 }).filter((text) => !text.includes("<|")),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
      const text = renderChat(TURNS, messages, {
        bosToken: tokenizer.bosToken,
        eosToken: tokenizer.eosToken,
      });
      const ids = tokenizer.encode(text, { addSpecial: false, parseSpecial: true });
      assert.deepEqual(encodeChat(tokenizer, TURNS, messages), ids);
    }),
    { numRuns: 200, seed: 8 },
  );
});

test("encodeChat() makes no control token when messages spell one", () => {
  const tokenizer = openTokenizer(ggufByteLevel());
  const pieces = fc.constantFrom(
    "<|end|>",
    "<|",
    "end|>",
    "<|user|>",
    "<",
    "|>",
    " ",
    "a",
    "<|en",
    "d|>",
    "\ue000",
    "\ue001",
  );
  const content = fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join(""));
  const template = "{% for m in messages %}<|user|>{{ m.role }}:" +
    "{% if m.content is string %}{{ m.content | trim }}{% else %}{% for p in m.content %}{{ p.text | trim }}{% endfor %}{% endif %}<|end|>{% endfor %}";
  const parts = fc.array(fc.record({ text: content }), { maxLength: 3 });
  const messages = fc.array(fc.record({ role: content, content: fc.oneof(content, parts) }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(messages, (given) => {
      const ids = encodeChat(tokenizer, template, given);
      const text = renderChat(template, given, { bosToken: null, eosToken: null });
      const control = ids.filter((id) => id >= tokenizer.vocabSize - 2);
      assert.equal(control.length, 2 * given.length);
      assert.equal(tokenizer.decode(ids, { keepSpecial: true }), text);
    }),
    { numRuns: 400, seed: 9 },
  );
});
