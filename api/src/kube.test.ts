import { expect, test } from "vitest";
import { refusalIn } from "./kube.ts";

const what = "PATCH /apis/tradingbots.dev/v1alpha1/namespaces/n/tradingbots/x";

test.for<[name: string, message: string, sentence: string | undefined]>([
  [
    "a rule",
    `${what}: TradingBot.tradingbots.dev "x" is invalid: spec: Invalid value: "object": stop it first`,
    "stop it first",
  ],
  [
    "a rule about a value",
    `${what}: TradingBot.tradingbots.dev "x" is invalid: spec.userId: Invalid value: "a: b": userId cannot be changed`,
    "userId cannot be changed",
  ],
  [
    "two rules",
    `${what}: X "x" is invalid: [spec.a: Invalid value: 3: one, two, spec.b: Invalid value: "object": three]`,
    "one, two; three",
  ],
  [
    "a missing field",
    `${what}: X "x" is invalid: spec.exchange: Required value`,
    "spec.exchange: Required value",
  ],
  [
    "an admission policy",
    `${what}: tradingbots.tradingbots.dev "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: leverage 10 is above the limit of class free (5)`,
    "leverage 10 is above the limit of class free (5)",
  ],
  ["no right", `${what}: tradingbots is forbidden: User "u" cannot delete`, undefined],
])("sentences of the API server: %s", ([, message, sentence]) => {
  expect(refusalIn(message)).toBe(sentence);
});
