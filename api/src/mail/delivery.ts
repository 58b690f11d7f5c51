import type { Deliver } from "./message.ts";
import { deliverBySmtp } from "./smtp.ts";
import { deliverByWebhook } from "./webhook.ts";

interface MailSettings {
  readonly smtpUrl: string | undefined;
  readonly webhookUrl: string | undefined;
  readonly from: string | undefined;
}

/** How messages leave here; undefined when they cannot. */
export function deliveryOf({ smtpUrl, webhookUrl, from }: MailSettings): Deliver | undefined {
  if (smtpUrl !== undefined && from !== undefined) return deliverBySmtp({ url: smtpUrl, from });
  return webhookUrl === undefined ? undefined : deliverByWebhook(webhookUrl);
}
