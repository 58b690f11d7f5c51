import { expect, test } from "vitest";
import { brokenBounds, type Figure, missedAims } from "./figure.ts";

const figure = (value: number, limits: Pick<Figure, "aim" | "bound">): Figure => ({
  key: "block_ms",
  value,
  baseline: "",
  how: "",
  ...limits,
});
const AIM = { aim: { most: 25 } };
const BOTH = { ...AIM, bound: { most: 100 } };
const LARGE = { aim: { least: 0.8 }, bound: { least: 0.6 } };

const cases: Record<string, readonly [given: Figure, missed: number, broken: number]> = {
  "no aim": [figure(1e9, {}), 0, 0],
  "an aim that is met": [figure(25, AIM), 0, 0],
  "an aim that is missed is the bound where there is no other": [figure(26, AIM), 1, 1],
  "an aim that is missed within its bound": [figure(100, BOTH), 1, 0],
  "an aim that is missed beyond it": [figure(101, BOTH), 1, 1],
  "a figure that shall be large, within its bound": [figure(0.7, LARGE), 1, 0],
  "and beyond it": [figure(0.5, LARGE), 1, 1],
};

test.each(Object.entries(cases))("%s", (_name, [given, missed, broken]) => {
  expect([missedAims([given]).length, brokenBounds([given]).length]).toEqual([missed, broken]);
});
