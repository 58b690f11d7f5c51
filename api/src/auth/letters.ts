import type { Letter } from "../mail/mailer.ts";

interface LinkOptions {
  readonly appUrl: string;
  readonly token: string;
}

/** After the #: browsers send it to no server, so that it stands in nobody's log. */
function linkTo(page: string, { appUrl, token }: LinkOptions): string {
  return `${appUrl.replace(/\/$/, "")}/${page}#token=${token}`;
}

/** To whoever has signed up, or wants another link. The code is for those who read their mail on another device. */
export function verificationLetter(options: LinkOptions & { readonly code: string }): Letter {
  return {
    subject: "Confirm your e-mail address",
    text: `Open this link to confirm that this address is yours. It is good for three days:

${linkTo("verify-email", options)}

Or type this code where you are logged in, within ten minutes: ${options.code}

If you have no account with us, somebody has mistyped their address: do nothing.
`,
  };
}

export function resetLetter(options: LinkOptions): Letter {
  return {
    subject: "Choose a new password",
    text: `Somebody, probably you, asked for a new password. Open this link within 30 minutes to choose one:

${linkTo("reset-password", options)}

If it was not you, do nothing: your password stays as it is.
`,
  };
}

/** What a thief would change, or be seen at. */
const CHANGES = {
  password: "The password of your account was changed",
  factorAdded: "A second factor was added to your account",
  factorRemoved: "A second factor of your account was removed",
  wrongCodes: "Somebody has shown your password and several wrong codes",
  apiToken: "An API token was made for your account",
} as const;
export type NoticedChange = keyof typeof CHANGES;

/** Tells the owner, so that a change that was not theirs does not stay unseen. */
export function noticeLetter(
  change: NoticedChange,
  { appUrl }: { readonly appUrl: string },
): Letter {
  return {
    subject: CHANGES[change],
    text: `${CHANGES[change]}.

If it was not you, remove at once the passkeys that you do not know, then choose a new password: ${appUrl}
A new password logs every device out and revokes every API token.
`,
  };
}
