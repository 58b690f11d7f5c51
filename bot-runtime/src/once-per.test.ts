import { expect, test } from "vitest";
import { oncePer, oncePerPair } from "./once-per.ts";

test("what follows from an object is reckoned once, and for another one anew", () => {
  const asked: number[] = [];
  const double = oncePer(({ of }: { of: number }) => {
    asked.push(of);
    return of * 2;
  });
  const [one, two] = [{ of: 1 }, { of: 2 }];
  expect([double(one), double(two), double(one), double({ of: 1 })]).toEqual([2, 4, 2, 2]);
  expect(asked).toEqual([1, 2, 1]);
});

test("of two objects it is reckoned anew when either is another one", () => {
  const asked: string[] = [];
  const sum = oncePerPair((first: { of: number }, second: { of: number }) => {
    asked.push(`${first.of} ${second.of}`);
    return first.of + second.of;
  });
  const [rules, settings, changed] = [{ of: 1 }, { of: 2 }, { of: 3 }];
  const sums = [settings, settings, changed, settings].map((each) => sum(rules, each));
  expect([...sums, sum({ of: 1 }, settings)]).toEqual([3, 3, 4, 3, 3]);
  expect(asked).toEqual(["1 2", "1 3", "1 2", "1 2"]);
});
