/**
 * Passwords as bcrypt keeps them. At the usual cost each takes a good part of a tenth of a second of Node's pool of four
 * threads, which also sync the log: so only few are worked on at once, and not too many wait. The library is loaded with
 * the first password.
 */
import { err, ok, type Result } from '../../../lib/result.ts'
import { MAX_HASHES_AT_ONCE, MAX_WAITING_HASHES } from '../../limits.ts'

/** bcrypt takes no more of a password into account, so a longer one is refused (etcd, by Go's library). */
export const MAX_PASSWORD_SIZE_BYTES = 72

export type PasswordProblem = 'password-too-long' | 'too-many-requests'

export interface Passwords {
  hash(password: string): Promise<Result<string, PasswordProblem>>
  matches(password: string, passwordHash: Uint8Array): Promise<Result<boolean, PasswordProblem>>
}

export class BcryptPasswords implements Passwords {
  readonly #cost: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(cost: number) {
    this.#cost = cost
  }

  async hash(password: string): Promise<Result<string, PasswordProblem>> {
    if (Buffer.byteLength(password) > MAX_PASSWORD_SIZE_BYTES) return err('password-too-long')
    return this.#inTurn(async () => {
      const { hash } = await import('@node-rs/bcrypt')
      return hash(password, this.#cost)
    })
  }

  async matches(password: string, passwordHash: Uint8Array): Promise<Result<boolean, PasswordProblem>> {
    return this.#inTurn(async () => {
      const { verify } = await import('@node-rs/bcrypt')
      return verify(password, Buffer.from(passwordHash).toString('latin1')) // false for what is no hash
    })
  }

  async #inTurn<Value>(work: () => Promise<Value>): Promise<Result<Value, PasswordProblem>> {
    if (this.#running >= MAX_HASHES_AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING_HASHES) return err('too-many-requests')
      await new Promise<void>((resolve) => this.#waiting.push(resolve)) // the one that ends hands its place on
    } else this.#running += 1
    try {
      return ok(await work())
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}
