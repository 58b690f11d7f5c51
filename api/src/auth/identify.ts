import { ApiError } from "../errors.ts";
import type { Attempt, LoginThrottle } from "./login-throttle.ts";
import { PASSWORD_BYTES_MAX, type Passwords } from "./passwords.ts";
import { isWrongProof, type Method, type Proof, type SecondFactors } from "./second-factors.ts";

interface IdentifyDeps {
  readonly passwords: Pick<Passwords, "compare" | "decoy">;
  readonly throttle: LoginThrottle;
  readonly secondFactors: Pick<SecondFactors, "prove">;
}

interface Identification extends Attempt {
  readonly password: string;
  /** Undefined for nobody. */
  readonly user: { readonly id: string; readonly passwordHash: string } | undefined;
  readonly proof: Proof;
}

/** Finds out whether somebody is who they say, and makes it slower and slower for those who guess. */
export function createIdentify({ passwords, throttle, secondFactors }: IdentifyDeps) {
  /**
   * Undefined when the password is wrong. A wrong code counts as a failure, whatever the password: only the whole proof forgives.
   * @throws ApiError `mfa_required`, `code_invalid`, `passkey_invalid`, `too_many_attempts`, `login_overloaded`
   */
  return async (attempt: Identification): Promise<Method | undefined> => {
    const { password, user, proof } = attempt;
    const waitSeconds = throttle.retryAfterSeconds(attempt);
    if (waitSeconds !== undefined) {
      throw new ApiError("too_many_attempts", `try again in ${waitSeconds} seconds`, {
        retryAfterSeconds: waitSeconds,
      });
    }
    throttle.begin(attempt);
    try {
      const matches = await passwords.compare(password, user?.passwordHash ?? passwords.decoy);
      // bcrypt would ignore what exceeds its limit, and no stored password does.
      const isRight = matches && Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
      if (!isRight || user === undefined) return undefined;
      const method = await secondFactors.prove(user.id, proof);
      throttle.succeeded(attempt);
      return method;
    } catch (error) {
      if (!isWrongProof(error)) throttle.withdraw(attempt);
      throw error;
    }
  };
}
export type Identify = ReturnType<typeof createIdentify>;
