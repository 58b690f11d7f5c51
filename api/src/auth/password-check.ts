import { ApiError } from "../errors.ts";
import type { LoginThrottle } from "./login-throttle.ts";
import { PASSWORD_BYTES_MAX, type Passwords } from "./passwords.ts";

interface PasswordCheckDeps {
  readonly passwords: Pick<Passwords, "compare">;
  readonly throttle: LoginThrottle;
}

interface Attempt {
  /** Where the attempt comes from. */
  readonly address: string;
  /** Whom it is about, whether they exist or not. */
  readonly account: string;
  readonly password: string;
  readonly hash: string;
}

/** Compares passwords, and fewer and fewer of those who guess. */
export function createPasswordCheck({ passwords, throttle }: PasswordCheckDeps) {
  /** @throws ApiError `too_many_attempts`, `login_overloaded` */
  return async ({ address, account, password, hash }: Attempt): Promise<boolean> => {
    const waitSeconds = throttle.retryAfterSeconds(address, account);
    if (waitSeconds !== undefined) {
      throw new ApiError("too_many_attempts", `try again in ${waitSeconds} seconds`, {
        retryAfterSeconds: waitSeconds,
      });
    }
    throttle.begin(address, account);
    const matches = await passwords.compare(password, hash).catch((error: unknown) => {
      throttle.withdraw(address, account);
      throw error;
    });
    // bcrypt would ignore what exceeds its limit, and no stored password does.
    if (!matches || Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return false;
    throttle.succeeded(address, account);
    return true;
  };
}
export type PasswordCheck = ReturnType<typeof createPasswordCheck>;
