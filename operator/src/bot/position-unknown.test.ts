import { expect, test } from "vitest";
import { conditionOf } from "../conditions.ts";
import {
  condition,
  exampleAccount,
  exampleBot,
  exampleFacts,
  exampleReport,
  runningFacts,
  VERIFICATION,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { planBot } from "./plan.ts";
import { botStatus } from "./status.ts";

const OPEN = { conditions: [condition("Flat", "False", "PositionOpen")] };
const stopped = exampleBot({ state: "Stopped" }, {}, OPEN);
const refused = exampleAccount({}, { verification: { ...VERIFICATION, state: "refused" } });
const refusal = (flat = false) => ({
  report: {
    kind: "fresh",
    latest: exampleReport({ flat, blocked: [{ reason: "CredentialsRefused", message: "no" }] }),
  } as const,
});
const trouble = { isReady: false, trouble: { reason: "ImagePullFailed", message: "…" } } as const;
const SINCE = "2026-01-01T00:00:00Z";

const givenUp = exampleBot(
  { state: "Stopped", abandonPosition: SINCE },
  {},
  { conditions: [...OPEN.conditions, condition("PositionUnknown", "True", "ClassNotFound")] },
);

test.each<{ name: string; facts: BotFacts; reason?: string }>([
  { name: "all in order", facts: runningFacts() },
  { name: "never run, and no class", facts: exampleFacts({ botClass: undefined }) },
  {
    name: "the exchange refuses the key that it runs with",
    facts: runningFacts(refusal()),
    reason: "CredentialsRefused",
  },
  {
    name: "the exchange refuses the key, and there is no pod",
    facts: exampleFacts({ bot: exampleBot({}, {}, OPEN), account: refused }),
    reason: "CredentialsRefused",
  },
  {
    name: "the exchange refuses a newer key than that of the running pod",
    facts: { ...runningFacts(), account: refused },
  },
  {
    name: "Stopped, and no pod can be made",
    facts: exampleFacts({ bot: stopped, botClass: undefined }),
    reason: "ClassNotFound",
  },
  {
    name: "Stopped, and the cluster takes no pod",
    facts: exampleFacts({
      bot: stopped,
      refusal: {
        reason: "NamespaceEnding",
        message: "…",
        times: 1,
        flatBefore: { status: "False", reason: "PositionOpen", message: "" },
      },
    }),
    reason: "NamespaceEnding",
  },
  {
    name: "Stopped, and its pod does not come up",
    facts: runningFacts({ bot: stopped, report: { kind: "none" } }, trouble),
    reason: "ImagePullFailed",
  },
  {
    name: "Running, and its pod does not come up: it tries on",
    facts: runningFacts({ report: { kind: "none" } }, trouble),
  },
  {
    name: "Stopped, and a pod closes",
    facts: runningFacts({ bot: stopped, report: { kind: "none" } }),
  },
  { name: "Stopped, and a pod is about to be made", facts: exampleFacts({ bot: stopped }) },
  {
    name: "given up, and its pod is still there",
    facts: runningFacts({ ...refusal(), bot: givenUp }),
    reason: "Abandoned",
  },
  {
    name: "given up, and no pod is left",
    facts: exampleFacts({ botClass: undefined, bot: givenUp }),
  },
  {
    name: "given up before, and started again",
    facts: exampleFacts({
      bot: exampleBot(
        { abandonPosition: SINCE },
        {},
        {
          conditions: [condition("Flat", "True", "Abandoned")],
        },
      ),
    }),
  },
])("$name: $reason", ({ facts, reason }) => {
  const { conditions } = botStatus(facts, planBot(facts));
  expect(conditionOf(conditions, "PositionUnknown")?.reason).toBe(reason);
  const isGivenUp = facts.bot === givenUp;
  expect(conditionOf(conditions, "Flat")?.reason === "Abandoned").toBe(isGivenUp);
});

test("its time stays while its cause changes: it is still the same position", () => {
  const bot = exampleBot(
    { state: "Stopped" },
    {},
    {
      conditions: [...OPEN.conditions, condition("PositionUnknown", "True", "ClassNotFound")],
    },
  );
  const facts = exampleFacts({ bot, account: refused });
  const { conditions } = botStatus(facts, { ...planBot(facts), write: undefined });
  expect(conditionOf(conditions, "PositionUnknown")).toMatchObject({
    reason: "CredentialsRefused",
    lastTransitionTime: SINCE,
  });
});
