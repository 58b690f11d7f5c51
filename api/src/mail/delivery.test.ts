import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deliveryOf } from "./delivery.ts";

let directory: string;
const file = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mail-settings-"));
  await writeFile(file("smtp-url"), "smtps://user:s3cret@mail.example.com\n");
  await writeFile(file("webhook-url"), "https://user:s3cret@provider.example.com/messages\n");
  await writeFile(file("mistyped"), "user:s3cret@mail.example.com");
});
afterAll(() => rm(directory, { recursive: true }));

interface Named {
  readonly smtp?: string;
  readonly webhook?: string;
  readonly from?: string;
}

function delivery({ smtp, webhook, from }: Named) {
  return deliveryOf({
    smtpUrlFile: smtp === undefined ? undefined : file(smtp),
    webhookUrlFile: webhook === undefined ? undefined : file(webhook),
    from,
  });
}

const FROM = { from: "noreply@example.com" };

test("without a setting no message leaves", async () => {
  expect(await delivery({})).toBeUndefined();
});

test.each<[string, Named]>([
  ["a mail server's address", { smtp: "smtp-url", ...FROM }],
  ["a webhook's", { webhook: "webhook-url" }],
  [
    "a mail server's beside a webhook's that is not there",
    { smtp: "smtp-url", webhook: "none", ...FROM },
  ],
  [
    "a webhook's beside a mail server's that is not there",
    { smtp: "none", webhook: "webhook-url" },
  ],
])("messages leave by a file with %s", async (_name, named) => {
  expect(await delivery(named)).toBeTypeOf("function");
});

test.each<[string, Named, string]>([
  ["both", { smtp: "smtp-url", webhook: "webhook-url", ...FROM }, "MAIL_WEBHOOK_URL_FILE"],
  ["neither of the files there", { smtp: "none", webhook: "none", ...FROM }, "SMTP_URL_FILE"],
  ["a file that cannot be read", { smtp: ".", ...FROM }, "SMTP_URL_FILE"],
  ["a mail server without a sender", { smtp: "smtp-url" }, "MAIL_FROM"],
  ["no address in the file", { smtp: "mistyped", ...FROM }, "SMTP_URL_FILE"],
  ["another protocol", { webhook: "smtp-url" }, "MAIL_WEBHOOK_URL_FILE"],
])("%s is refused by the setting's name, without its value", async (_name, named, setting) => {
  const failure = await delivery(named).then(String, String);
  expect(failure).toContain(`Error: ${setting}`);
  expect(failure).not.toContain("s3cret");
});
