import { expect, test } from "vitest";
import { hashedTemplate } from "../class/pod-template.ts";
import { exampleBot, exampleClass } from "./example-facts.ts";
import { type PodInputs, podInputsHash, podTemplate } from "./pod.ts";

const inputs: PodInputs = {
  bot: exampleBot(),
  template: exampleClass.wanted,
  credentialsVersion: 1,
};
const templateWith = (change: object) => hashedTemplate({ ...exampleClass.spec, ...change });

test.each<{ name: string; changed: PodInputs; replaces: boolean }>([
  {
    name: "image",
    changed: { ...inputs, template: templateWith({ image: "bot:2" }) },
    replaces: true,
  },
  {
    name: "resources",
    changed: { ...inputs, template: templateWith({ resources: { requests: {}, limits: {} } }) },
    replaces: true,
  },
  {
    name: "placement",
    changed: { ...inputs, template: templateWith({ placement: { runtimeClassName: "gvisor" } }) },
    replaces: true,
  },
  { name: "key version", changed: { ...inputs, credentialsVersion: 2 }, replaces: true },
  {
    name: "account",
    changed: { ...inputs, bot: exampleBot({ accountName: "acct-2" }) },
    replaces: true,
  },
  {
    name: "limits",
    changed: { ...inputs, bot: exampleBot({ risk: { leverage: 2 } }) },
    replaces: false,
  },
  {
    name: "symbols",
    changed: { ...inputs, bot: exampleBot({ symbols: ["ETH/USDT:USDT"] }) },
    replaces: false,
  },
  { name: "state", changed: { ...inputs, bot: exampleBot({ state: "Paused" }) }, replaces: false },
  {
    name: "ceilings",
    changed: { ...inputs, template: templateWith({ ceilings: {} }) },
    replaces: false,
  },
])("a change of $name replaces the pod: $replaces", ({ changed, replaces }) => {
  expect(podInputsHash(changed) !== podInputsHash(inputs)).toBe(replaces);
});

test("where another class stands in, its image is taken, and no rollout of the own class replaces the pod", () => {
  const template = templateWith({ image: "bot:old", placement: { runtimeClassName: "gvisor" } });
  const stoodIn = podTemplate(template, exampleClass);
  expect(stoodIn).toEqual({ ...template, image: exampleClass.rollout.stable.image });
  expect(podInputsHash({ ...inputs, template: stoodIn })).toBe(
    podInputsHash({ ...inputs, template }),
  );
  expect(podTemplate(template, undefined)).toBe(template);
});
