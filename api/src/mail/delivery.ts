import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Deliver } from "./message.ts";
import { deliverBySmtp } from "./smtp.ts";
import { deliverByWebhook } from "./webhook.ts";

interface MailSettings {
  /** Files, since the addresses hold passwords; one that is named and not there counts as not named while the other is. */
  readonly smtpUrlFile: string | undefined;
  readonly webhookUrlFile: string | undefined;
  readonly from: string | undefined;
}

/**
 * How messages leave here; undefined when no setting says so.
 * @throws Error that names the setting and never what is in its file
 */
export async function deliveryOf({
  smtpUrlFile,
  webhookUrlFile,
  from,
}: MailSettings): Promise<Deliver | undefined> {
  if (smtpUrlFile === undefined && webhookUrlFile === undefined) return undefined;
  const smtpUrl = await readAddress("SMTP_URL_FILE", smtpUrlFile, /^smtps?$/);
  const webhookUrl = await readAddress("MAIL_WEBHOOK_URL_FILE", webhookUrlFile, /^https?$/);
  if (smtpUrl !== undefined && webhookUrl !== undefined)
    throw new Error("MAIL_WEBHOOK_URL_FILE: mails go by SMTP or by webhook, not by both");
  if (webhookUrl !== undefined) return deliverByWebhook(webhookUrl);
  if (smtpUrl === undefined)
    throw new Error(
      "SMTP_URL_FILE, MAIL_WEBHOOK_URL_FILE: none of the files that are named is there",
    );
  if (from === undefined) throw new Error("MAIL_FROM: mails by SMTP need a sender");
  return deliverBySmtp({ url: smtpUrl, from });
}

/** Undefined when there is no such file. */
async function readAddress(
  setting: string,
  file: string | undefined,
  protocol: RegExp,
): Promise<string | undefined> {
  const text = file === undefined ? undefined : await readIfThere(file, setting);
  if (text === undefined) return undefined;
  const address = z.url({ protocol }).safeParse(text.trim());
  if (address.success) return address.data;
  throw new Error(`${setting}: ${file} holds no URL whose protocol is ${protocol.source}`);
}

async function readIfThere(file: string, setting: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { data: code } = z.object({ code: z.literal("ENOENT") }).safeParse(error);
    if (code !== undefined) return undefined;
    throw new Error(`${setting}: ${file} cannot be read`, { cause: error });
  }
}
