import { expect, test } from "vitest";
import { createSlots } from "./slots.ts";

test("so many at once, the others in order; who gives up loses nobody's turn", async () => {
  const slots = createSlots(2);
  const told: string[] = [];
  const enter = (name: string, signal?: AbortSignal) =>
    slots.acquire(signal).then(
      () => void told.push(name),
      (error: unknown) => void told.push(`${name} ${String(error)}`),
    );
  const leaving = new AbortController();
  await Promise.all([enter("a"), enter("b")]);
  const later = [enter("c"), enter("d", leaving.signal), enter("e")];
  leaving.abort("left");
  await later[1];
  expect(told).toEqual(["a", "b", "d left"]);
  slots.release();
  slots.release();
  await Promise.all(later);
  expect(told).toEqual(["a", "b", "d left", "c", "e"]);

  await enter("f", leaving.signal);
  slots.release();
  await enter("g");
  expect(told.slice(5)).toEqual(["f left", "g"]);
});

test("a turn that came before the abort is kept, and can be given back", async () => {
  const slots = createSlots(1);
  await slots.acquire();
  const leaving = new AbortController();
  const turn = slots.acquire(leaving.signal);
  slots.release();
  leaving.abort();
  await turn;
  slots.release();
  await expect(slots.acquire()).resolves.toBeUndefined();
});
