import { WriteForbiddenError } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { createFakeVault } from "../test/fake-vault.ts";
import { guardedVault } from "./vault.ts";

test("a process that leads no more forgets no key", async () => {
  let leads = false;
  let forbidden = 0;
  const vault = createFakeVault();
  await vault.store("tradingbots-00", "acct-1");
  const guarded = guardedVault(vault, {
    mayWrite: () => leads,
    onForbidden: () => (forbidden += 1),
  });
  await expect(guarded.forget("tradingbots-00", "acct-1")).rejects.toThrow(WriteForbiddenError);
  expect(await guarded.currentVersion("tradingbots-00", "acct-1")).toBe(1);
  leads = true;
  await guarded.forget("tradingbots-00", "acct-1");
  expect(await guarded.currentVersion("tradingbots-00", "acct-1")).toBeUndefined();
  expect(forbidden).toBe(1);
});
