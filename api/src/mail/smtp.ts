import { createTransport } from "nodemailer";
import { z } from "zod";
import { type Deliver, MessageRefused } from "./message.ts";

/** No mail server that works takes longer between two of its answers. */
const TIMEOUTS = { connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 10_000 };

const Failure = z.object({
  code: z.string().optional(),
  responseCode: z.number().optional(),
  permanent: z.boolean().optional(),
});

export interface SmtpOptions {
  /** `smtps://user:password@host:465`, or `smtp://…:587`, which insists on STARTTLS unless it ends with `?ignoreTLS=true`. */
  readonly url: string;
  /** As in a header: `Trading bots <noreply@example.com>`. */
  readonly from: string;
}

/** Delivers by SMTP (RFC 5321), one connection for each message. */
export function deliverBySmtp({ url, from }: SmtpOptions): Deliver {
  const transport = createTransport({
    url,
    // A reset link must not cross the network readable because somebody struck STARTTLS out of the greeting.
    requireTLS: new URL(url).searchParams.get("ignoreTLS") !== "true",
    disableFileAccess: true,
    disableUrlAccess: true,
    ...TIMEOUTS,
  });
  return async ({ id, to, subject, text }) => {
    const messageId = `<${id}@tradingbots.dev>`;
    const headers = { "Auto-Submitted": "auto-generated" }; // RFC 3834: no out-of-office answers
    try {
      await transport.sendMail({ from, to, subject, text, messageId, headers });
    } catch (error) {
      throw failureOf(error);
    }
  };
}

/** The server's own words may repeat the message: only codes go on. */
function failureOf(error: unknown): Error {
  const { code = "no code", responseCode, permanent } = Failure.safeParse(error).data ?? {};
  const sentence = `while sending by SMTP: ${code} ${responseCode ?? ""}`.trimEnd();
  return permanent === true ? new MessageRefused(sentence) : new Error(sentence);
}
