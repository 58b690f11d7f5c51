import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PLANTED_BUGS } from "./planted-bugs.ts";

const checkout = join(import.meta.dirname, "..", "..", "..");

test.each(PLANTED_BUGS.map(({ name, patches }) => ({ name, patches })))(
  "$name: each text is in its module exactly once",
  ({ patches }) => {
    const contents = new Map<string, string>();
    for (const { module, text, replacement } of patches) {
      const before = contents.get(module) ?? readFileSync(join(checkout, module), "utf8");
      expect(before.split(text), `${module}: ${text}`).toHaveLength(2);
      expect(replacement).not.toBe(text);
      contents.set(
        module,
        before.replace(text, () => replacement),
      );
    }
  },
);
